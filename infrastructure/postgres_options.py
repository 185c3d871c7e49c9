"""What a URL of PostgreSQL may say, where libpq or psycopg would only find out while they connect."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from itertools import cycle

from infrastructure.hosts import LONGEST_SOCKET_PATH, can_be_host
from infrastructure.libpq import refused_by_libpq

_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
_NUMBER = re.compile(r"\s*([+-]?)0*([0-9]{1,10})\s*", re.ASCII)
_LEAST, _MOST = -(2**31), 2**31 - 1
_PORT = re.compile(" *0*([1-9][0-9]{0,4}) *")
_DEFAULT_PORT = 5432
_NO_REPLICATION = ("off", "false", "no", "0")


def wrong_option(parts: Mapping[str, object]) -> str | None:
    """What is wrong with one of them, and what it must be; nothing of a value is in that."""
    for name in _NUMBERS:
        if name in parts and not _is_number(str(parts[name])):
            return f"its parameter {name} must be a whole number, {_LEAST} to {_MOST}"
    if parts.get("replication", "off") not in _NO_REPLICATION:
        return f"its parameter replication must be one of {', '.join(_NO_REPLICATION)}"
    return _wrong_place(parts) or refused_by_libpq(parts)


def _wrong_place(parts: Mapping[str, object]) -> str | None:
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
    if any(_is_too_long(host, port) for host, port in zip(hosts, cycle(ports), strict=False)):
        return f"the path of its socket, .s.PGSQL and the port included, must have {LONGEST_SOCKET_PATH} bytes at most"
    return None


def _is_number(text: str) -> bool:
    """As libpq reads it, by C's strtol."""
    found = _NUMBER.fullmatch(text)
    return found is not None and _LEAST <= int("".join(found.groups())) <= _MOST


def _is_port(text: str) -> bool:
    found = _PORT.fullmatch(text)
    return not text or (found is not None and int(found[1]) <= 65535)


def _is_host(text: str) -> bool:
    """A name, the directory of a socket, or nothing, which libpq has a default for.

    An abstract socket, @ and a name, is none: psycopg would ask for that name as for a host's.
    """
    return not text or text.startswith("/") or can_be_host(text)


def _is_too_long(host: str, port: str) -> bool:
    path = f"{host}/.s.PGSQL.{int(port or _DEFAULT_PORT)}"
    return host.startswith("/") and len(path.encode()) > LONGEST_SOCKET_PATH


def _is_address(text: str) -> bool:
    try:
        ip_address(text or "::")
    except ValueError:
        return False
    return True
