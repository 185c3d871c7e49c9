"""What a person types, checked: kinds, ids, cuts. Everything raises InvalidInput with one sentence."""

import os
from datetime import UTC, datetime

from domain.errors import InvalidInput
from domain.log import Cut
from domain.system import SYSTEM_ID
from domain.values import MAX_ID_LENGTH

KINDS = ("workflow", "task", "agent", "pool", "system")


def check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {kind!r}: use one of {', '.join(KINDS)}.", kind=kind)
    return kind


def check_id(kind: str, id: str | None) -> str:
    """The id of one aggregate; the system is the only one of its kind and needs none."""
    if kind == "system":
        if id not in (None, SYSTEM_ID):
            raise InvalidInput(f"There is only one system, so leave out {id!r}.", id=id)
        return SYSTEM_ID
    if not id:
        raise InvalidInput(f"Which {kind}? Give its id after the kind.", kind=kind)
    if len(id) > MAX_ID_LENGTH or not id.isprintable():
        raise InvalidInput(
            f"That is no id of a {kind}: ids have at most {MAX_ID_LENGTH} characters and none that can't be seen.",
            kind=kind,
        )
    return id


def check_tenant(option: str | None) -> str | None:
    """The tenant that was asked for; the one in the environment is checked just so where none was."""
    from infrastructure.database import tenant_schema

    chosen = os.environ.get("DORA_STATE_TENANT") if option is None else option
    if chosen is not None:
        tenant_schema(chosen)
    return option


def make_cut(version: int | None, at: str | None, position: int | None, options: tuple[str, str, str]) -> Cut:
    """At most one of the three; `options` are their names as typed."""
    given = [name for name, value in zip(options, (version, at, position), strict=True) if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)} can't be asked for at once: give one of them.")
    for name, number in ((options[0], version), (options[2], position)):
        if number is not None and not 1 <= number < 2**63:
            raise InvalidInput(f"{name} counts from 1, so {number} is none.", value=number)
    return Cut(version=version, at=None if at is None else parse_time(at, options[1]), position=position)


def parse_time(text: str, option: str) -> datetime:
    """ISO 8601 with a zone, to UTC."""
    example = "write it like 2024-01-17T10:00:00Z or 2024-01-17T11:00:00+01:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{option}: {text!r} is no ISO 8601 time; {example}.", value=text) from None
    if moment.tzinfo is None:
        raise InvalidInput(f"{option}: {text!r} has no zone; {example}.", value=text)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{option}: {text!r} lies outside the years 1 to 9999 in UTC.", value=text) from None
