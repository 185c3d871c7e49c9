"""What libpq takes for the parameters of a URL, where it looks at them only when it connects."""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from infrastructure.hosts import can_be_host

_WORDS: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "replication": ("off", "false", "no", "0"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
_NUMBER = re.compile("-?[0-9]{1,9}")
_PORT = re.compile(" *([1-9][0-9]{0,4})? *")


def wrong_option(parts: Mapping[str, object]) -> str | None:
    """What is wrong with one of them, and what it must be; nothing of a value is in that."""
    for name, words in _WORDS.items():
        if name in parts and parts[name] not in words:
            return f"its parameter {name} must be one of {', '.join(words)}"
    for name in _NUMBERS:
        if name in parts and not _NUMBER.fullmatch(str(parts[name])):
            return f"its parameter {name} must be a whole number"
    hosts, addresses, ports = (str(parts.get(name) or "").split(",") for name in ("host", "hostaddr", "port"))
    if not all(map(_is_port, ports)):
        return "its ports must be 1 to 65535"
    if not all(map(_is_host, hosts)):
        return "it names a host that can't be one"
    if not all(map(_is_address, addresses)):
        return "its parameter hostaddr must be addresses like 192.0.2.1"
    servers = max(len(hosts), len(addresses))
    if len(ports) not in (1, servers) or (parts.get("host") and parts.get("hostaddr") and len(hosts) != len(addresses)):
        return "its hosts, addresses and ports must be as many, or the port one for all"
    return None


def _is_port(text: str) -> bool:
    found = _PORT.fullmatch(text)
    return found is not None and int(found[1] or 1) <= 65535


def _is_host(text: str) -> bool:
    """A name, the directory of a socket, or nothing, which libpq has a default for."""
    return not text or text.startswith(("/", "@")) or can_be_host(text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text or "::")
    except ValueError:
        return False
    return True
