"""What libpq takes for the parameters of a URL: it is asked itself, since each of its versions knows others.

It looks at them when it begins to connect, before it looks for the server. So it begins, with all that they say but
where: to a socket that can't be there, so that nothing is connected to, resolved or read from a file of passwords.
It takes a tenth of a millisecond.
"""

from collections.abc import Mapping

from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn

_NOWHERE = {"host": "/dev/null", "hostaddr": "", "port": "", "user": "-", "password": "-"}
"""Each is given, also where the URL has none: libpq would take it from the environment, from a service or a file."""
_TRIED = b"/dev/null/.s.PGSQL."
"""It stands in what libpq says in any language, once it has looked at the parameters."""
_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "ssl_max_protocol_version": _VERSIONS,
    "ssl_min_protocol_version": _VERSIONS,
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Only told of, where libpq has refused another one."""


def refused_by_libpq(parts: Mapping[str, object]) -> str | None:
    """Which of its parameters libpq does not take. Nothing of a value is in that, as there may be in what libpq says.

    Where none is to blame, but the environment or this process, which has no file left to open, who connects is told.
    """
    if _takes(parts):
        return None
    wrong = dict(parts)
    for name in parts:
        others = {other: wrong[other] for other in wrong if other != name}
        if not _takes(others):  # whatever it says, it is not alone to blame
            wrong = others
    match sorted(wrong.keys() - _NOWHERE.keys()):
        case []:
            return None
        case [name] if name in _WORDS and wrong[name] not in _WORDS[name]:
            return f"its parameter {name} must be one of {', '.join(_WORDS[name])}"
        case [name]:
            return f"libpq does not take its parameter {name} as it is"
        case names:
            return f"libpq does not take its parameters {' and '.join(names)} together"


def _takes(parts: Mapping[str, object]) -> bool:
    asked = {name: str(value) for name, value in parts.items()} | _NOWHERE
    if asked.get("gssencmode", "require") == "require":
        asked["gssencmode"] = "disable"  # over a socket it can't be had, nor where the environment requires it
    attempt = PGconn.connect_start(make_conninfo(**asked).encode())
    try:
        return _TRIED in attempt.error_message
    finally:
        attempt.finish()
