"""What callers name: kinds, ids, types of events, themselves, and moments. Whatever they ask, it is checked here."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from commands import streams
from commands.messages import COMMANDS, importing
from commands.wording import invalid
from domain.all_events import CATALOGUE
from domain.errors import InvalidInput
from domain.log import Cut
from domain.text import require_id, require_text, shown
from domain.values import MAX_ID_LENGTH, Id, Text
from projections.documents import RENDERINGS
from projections.history import HistoryFilter

KINDS = tuple(RENDERINGS)
Submission = Mapping[str, object] | bytes | str


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {shown(kind)}; the kinds are {', '.join(KINDS)}.", kind=shown(kind))


def check_named(kind: str, aggregate_id: str) -> None:
    """One aggregate, as over HTTP: what can't be the id of anything is no question. Raises InvalidInput."""
    check_kind(kind)
    require_id("id", aggregate_id)


def check_types(types: Iterable[str]) -> frozenset[str]:
    """Names of events. Raises InvalidInput with the closest one that there is."""
    return frozenset(_check_name(name, "event", list(CATALOGUE.types)) for name in types)


def check_command(name: str) -> str:
    """The name of a command. Raises InvalidInput with the closest one that there is."""
    imports = (importing.ImportEvent, importing.ImportRecorded, importing.BeginImport, importing.EndImport)
    return _check_name(name, "command", [*COMMANDS, *(command.type for command in imports)])


def _check_name(name: str, what: str, known: list[str]) -> str:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"the closest is {near[0]}" if near else f"they are {', '.join(known)}"
        raise InvalidInput(f"There is no {what} {name[:MAX_ID_LENGTH]!r}: {hint}.", type=name[:MAX_ID_LENGTH])
    return name


def check_filter(only: HistoryFilter) -> None:
    """Raises InvalidInput."""
    check_types(only.types)
    if only.actor is not None:
        require_text("actor", only.actor)


def check_stream(stream_id: str) -> None:
    """Raises InvalidInput."""
    try:
        streams.check_stream(stream_id)
    except ValueError as error:
        raise InvalidInput(f"{shown(stream_id)}: {error}.", field="stream_id") from None


class _Told(BaseModel):
    """What callers tell of themselves and of what they do."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    actor: Id | None = None
    holder: Id | None = None
    reason: Text | None = None
    correlation_id: Id | None = None


def check_told(what: str, **told: str | None) -> None:
    """As over HTTP; of what is empty, something else is told. Raises InvalidInput."""
    try:
        _Told.model_validate({name: value or None for name, value in told.items()})
    except ValidationError as error:
        raise invalid(error, _Told, None, what) from None


def utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC, as `utcnow` gives it: for Python's callers only."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def cut_of(version: int | None, at_time: datetime | None) -> Cut:
    """Raises InvalidInput where both are given."""
    if version is not None and at_time is not None:
        raise InvalidInput("A state is asked for at a version or at a time, not both: leave one of them out.")
    return Cut(version=version, at=utc(at_time))
