"""Which names of hosts a resolver can be asked for at all."""

import re
from ipaddress import ip_address

LONGEST_SOCKET_PATH = 107
"""Bytes of a Unix socket's path, for the kernel."""
_LONGEST_NAME = 253
_LABEL = re.compile("[A-Za-z0-9_-]{1,63}")


def can_be_host(text: str) -> bool:
    """Whether it can be a name or an address; whether there is such a host, only the network knows.

    A name has labels of letters, digits, `-` and `_` once it is encoded (IDNA), 1 to 63 each and 253 in all, and may
    end with a dot. An address stands alone: without brackets and without a port.
    """
    if not text.isprintable() or " " in text:
        return False
    return _is_address(text) or _is_name(text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    if len(text) > _LONGEST_NAME + 1:  # encoding takes long for what is long
        return False
    try:
        name = text.encode("idna").decode().removesuffix(".")
    except UnicodeError:
        return False
    return len(name) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, name.split(".")))
