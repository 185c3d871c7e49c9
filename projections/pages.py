"""Pages of a list, by keys: a page is as quick to find far back as in front, and shifts for nobody."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from projections.documents.values import Document
from projections.errors import InvalidPage
from projections.ports import StoredDocument

DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000
PAGE_BYTES = 16 * 1024 * 1024
"""Of documents as they are stored: a page ends before the one that goes beyond, and has at least one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, and the mark with which the next page is asked for; None on the last page."""

    items: list[Document]
    next: str | None


def page_of(items: list[Document], size: int, mark: Callable[[Document], str]) -> Page:
    """A page of what was asked for with one more than fits on it; `mark` makes that of its last item."""
    if len(items) <= size:
        return Page(items, None)
    return Page(items[:size], mark(items[size - 1]))


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_LIMIT))


def fitting(found: Sequence[StoredDocument], limit: int) -> int:
    """How many of what was found are on the page."""
    most, held = bounded(limit), 0
    for place, document in enumerate(found[:most]):
        held += len(document.body)
        if held > PAGE_BYTES and place > 0:
            return place
    return most


def encode_mark(*keys: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(keys)).decode().rstrip("=")


def decode_mark(mark: str | None, count: int) -> list[str] | None:
    """The keys of a mark; None for the first page. Raises InvalidPage for anything else than a mark."""
    if mark is None:
        return None
    try:
        keys: Any = orjson.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidPage(mark=mark) from error
    if not isinstance(keys, list) or len(keys) != count or not all(map(_is_key, keys)):
        raise InvalidPage(mark=mark)
    return keys


def _is_key(key: object) -> bool:
    return isinstance(key, str) and "\0" not in key


def mark_time(text: str) -> datetime:
    """In UTC, as a database knows fewer zones than may be written. Raises InvalidPage."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise InvalidPage(mark=text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidPage(mark=text) from error


def fingerprint(*asked: Any) -> str:
    """What was asked for, in a few signs: a mark carries them, so that it is of use for nothing else."""
    return sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:12]


def marked(asked: str, *keys: str) -> str:
    """The mark of a page of what was asked for."""
    return encode_mark(asked, *keys)


def keys_of(mark: str | None, asked: str, count: int) -> list[str] | None:
    """The keys of a mark; None for the first page. Raises InvalidPage where it is no mark, or one of another
    question.
    """
    keys = decode_mark(mark, count + 1)
    if keys is None:
        return None
    if keys[0] != asked:
        raise InvalidPage(
            "That page mark is of another list, filter or sort; ask as you did for the page that gave it, or begin with"
            " the first page.",
            mark=mark,
        )
    return keys[1:]
