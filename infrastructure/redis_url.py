"""Which URLs of Redis we take: told before anything connects, and without a word of what may hold a secret."""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import SSLConnection
from redis.connection import ConnectionPool as ThreadConnectionPool
from redis.exceptions import RedisError

from infrastructure.hosts import LONGEST_SOCKET_PATH, can_be_host

LONGEST_TIMEOUT = 60
_LIKE = (
    "; write it like redis://user:password@host:6379/0 or unix:///path/to/socket, with special characters"
    " percent-encoded"
)
_DATABASE = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class _Parameter:
    must_be: str
    holds: Callable[[str], bool]


def _one_of(*words: str) -> _Parameter:
    return _Parameter(f"one of {', '.join(words)}", lambda text: text in words)


def _is_timeout(text: str) -> bool:
    try:
        return 0 < float(text) <= LONGEST_TIMEOUT
    except ValueError:
        return False


def _are_flags(text: str) -> bool:
    return all(flag.strip() in ssl.VerifyFlags.__members__ for flag in text.strip("[]").split(","))


_TEXT = _Parameter("a text", lambda _: True)
_FILE = _Parameter("a path", str.isprintable)
_YES_OR_NO = _Parameter("yes or no", lambda text: text.lower() in ("true", "false", "yes", "no", "1", "0"))
_TIMEOUT = _Parameter(f"seconds, more than 0 and at most {LONGEST_TIMEOUT}", _is_timeout)
_FLAGS = _Parameter("names of VERIFY_ flags of Python's ssl, divided by commas", _are_flags)
_ANY: Mapping[str, _Parameter] = {
    "client_name": _Parameter("a word of ASCII", lambda text: bool(re.fullmatch("[!-~]+", text))),
    "db": _Parameter("a number", lambda text: bool(_DATABASE.fullmatch(text))),
    "health_check_interval": _Parameter("0 to 3600 seconds", lambda text: _is_whole(text, 3600)),
    "password": _TEXT,
    "protocol": _one_of("2", "3"),
    "socket_connect_timeout": _TIMEOUT,
    "socket_timeout": _TIMEOUT,
    "username": _TEXT,
}
_TCP: Mapping[str, _Parameter] = {**_ANY, "socket_keepalive": _YES_OR_NO}
_TLS: Mapping[str, _Parameter] = {
    **_TCP,
    "ssl_ca_certs": _FILE,
    "ssl_ca_data": _TEXT,
    "ssl_ca_path": _FILE,
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_certfile": _FILE,
    "ssl_check_hostname": _YES_OR_NO,
    "ssl_ciphers": _TEXT,
    "ssl_exclude_verify_flags": _FLAGS,
    "ssl_include_verify_flags": _FLAGS,
    "ssl_keyfile": _FILE,
    "ssl_min_version": _Parameter("771 (TLS 1.2) or 772 (TLS 1.3)", lambda text: text in ("771", "772")),
    "ssl_password": _TEXT,
}
PARAMETERS: Mapping[str, Mapping[str, _Parameter]] = {"unix": _ANY, "redis": _TCP, "rediss": _TLS}
"""What redis-py understands besides is either ours to set, or not understood by all of its clients that we use."""
NOT_IN_A_CLUSTER = frozenset({"ssl_ca_path", "ssl_password"})


def _is_whole(text: str, most: int) -> bool:
    return bool(_DATABASE.fullmatch(text)) and int(text) <= most


def require_redis_url(url: str, *, cluster: bool = False) -> None:
    """Raises ValueError that says what is wrong with it; nothing of a value is in that."""
    parts, given = _read(url)
    permitted = PARAMETERS[parts.scheme]
    if cluster:
        permitted = {name: about for name, about in permitted.items() if name not in NOT_IN_A_CLUSTER}
    for name, value in given.items():
        if name not in permitted:
            raise ValueError(
                f"has a parameter that is not permitted with {parts.scheme}://{' in a cluster' if cluster else ''};"
                f" take of {', '.join(permitted)} what is needed"
            )
        if value and not permitted[name].holds(value):  # redis-py passes over those that are blank
            raise ValueError(f"its parameter {name} must be {permitted[name].must_be}")
    if cluster:
        _require_cluster(parts, given)
    _require_made(url)


def _read(url: str) -> tuple[SplitResult, dict[str, str]]:
    """What stands after a `#` or in the place of the database may be left of a password as it is, so it is not told."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
        is_port = parts.port != 0
    except ValueError:
        raise ValueError(f"is no Redis URL{_LIKE}") from None
    if parts.scheme not in PARAMETERS or not url.startswith(f"{parts.scheme}://") or parts.fragment or not is_port:
        raise ValueError(f"is no Redis URL{_LIKE}")
    if len(dict(given)) < len(given):
        raise ValueError("has a parameter twice; keep one of them")
    if parts.scheme == "unix":
        _require_socket(parts)
    elif parts.hostname is not None and not can_be_host(unquote(parts.hostname)):
        raise ValueError(f"names a host that can't be one{_LIKE}")
    elif (database := _database(parts)) and not _DATABASE.fullmatch(database):
        raise ValueError(f"names a database that is no number{_LIKE}")
    return parts, dict(given)


def _database(parts: SplitResult) -> str:
    """What stands in its place, as redis-py reads it, but for slashes within: it makes 12 of `/1/2`."""
    return unquote(parts.path).strip("/")


def _require_socket(parts: SplitResult) -> None:
    path = unquote(parts.path)
    if parts.hostname or not path.isprintable() or not 1 < len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        raise ValueError(f"names no path of a socket, of {LONGEST_SOCKET_PATH} bytes at most{_LIKE}")


def _require_cluster(parts: SplitResult, given: Mapping[str, str]) -> None:
    if not parts.hostname:
        raise ValueError("must name the host of one of the cluster's nodes")
    if int(given.get("db") or _database(parts) or 0) != 0:
        raise ValueError("names a database, and a cluster has only database 0")


def _require_made(url: str) -> None:
    """redis-py makes connections of it, in both of its ways, and has all that TLS takes; nothing connects."""
    try:
        ThreadConnectionPool.from_url(url).make_connection()
        made = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]  # it has no types
    except (RedisError, TypeError, ValueError) as error:
        kind = type(error).__name__
        raise ValueError(f"is no URL of which redis-py can make a connection ({kind}){_LIKE}") from None
    if isinstance(made, SSLConnection):
        try:
            made.ssl_context.get()
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ValueError(f"asks for TLS that can't be had ({reason}); mend what its ssl_ parameters name") from None
