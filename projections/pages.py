"""Pages of a list, by keys: a page is as quick to find far back as in front, and shifts for nobody."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from projections.documents.values import Document
from projections.errors import InvalidPage

DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, and the mark with which the next page is asked for; None on the last page."""

    items: list[Document]
    next: str | None


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_LIMIT))


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
    if not isinstance(keys, list) or len(keys) != count or not all(isinstance(key, str) for key in keys):
        raise InvalidPage(mark=mark)
    return keys


def mark_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidPage(mark=text) from error
