"""What callers name: kinds, and moments."""

from collections.abc import Mapping
from datetime import UTC, datetime

from domain.errors import InvalidInput
from domain.log import Cut
from projections.documents import RENDERINGS

KINDS = tuple(RENDERINGS)
Submission = Mapping[str, object] | bytes | str


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {kind}; the kinds are {', '.join(KINDS)}.", kind=kind)


def utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC, as `utcnow` gives it: for Python's callers only."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def cut_of(version: int | None, at_time: datetime | None) -> Cut:
    """Raises InvalidInput where both are given."""
    if version is not None and at_time is not None:
        raise InvalidInput("A state is asked for at a version or at a time, not both: leave one of them out.")
    return Cut(version=version, at=utc(at_time))
