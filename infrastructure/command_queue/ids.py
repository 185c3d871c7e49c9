"""The broker's ids of messages are bytes, whoever sent them; people see and type them as text."""

import re

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def shown(id: bytes) -> str:
    """What is no UTF-8, and what a terminal would act upon, as `\\xff` and the like."""
    return _CONTROL.sub(lambda sign: f"\\x{ord(sign[0]):02x}", id.decode(errors="backslashreplace"))


def meant(text: str) -> list[bytes]:
    """The ids that a text may mean, the most likely first: as it is written, and as `shown` writes it."""
    written = text.encode(errors="surrogateescape")
    return list(dict.fromkeys([written, _ESCAPED.sub(lambda byte: bytes.fromhex(byte[1].decode()), written)]))
