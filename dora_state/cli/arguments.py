"""What a person types, checked: kinds, ids, cuts. Everything raises InvalidInput with one sentence."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from domain.errors import InvalidInput
from domain.log import NOW, START, Cut
from domain.system import SYSTEM_ID
from domain.values import MAX_ID_LENGTH

KINDS = ("workflow", "task", "agent", "pool", "system")
Consistency = Literal["cached", "projected", "live"]
CONSISTENCIES: tuple[Consistency, ...] = ("cached", "projected", "live")
LONGEST_WAIT = 86_400.0
_NUMBERED = re.compile("([vp]?)(-?[0-9]{1,30})")


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
    """At most one of the three; `options` are their names as typed. Which numbers there are, the log knows."""
    given = [name for name, value in zip(options, (version, at, position), strict=True) if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)} can't be asked for at once: give one of them.")
    return Cut(version=version, at=None if at is None else parse_time(at, options[1]), position=position)


def parse_cut(text: str, name: str, *, versions: bool = True) -> Cut:
    """A cut in one word: v3 or 3, p120, a time, start (before anything), now. `versions`: one of a stream is meant."""
    if text == "now":
        return NOW
    if text == "start":
        return START
    number = _NUMBERED.fullmatch(text)
    if number is None:
        return Cut(at=parse_time(text, name, also="or a position like p120, start, or now"))
    kind, digits = number.groups()
    if not versions and kind != "p":
        raise InvalidInput(
            f"{name}: {text} is a version of a single stream; give a time, or a position like p{digits}."
        )
    return make_cut(
        None if kind == "p" else int(digits), None, int(digits) if kind == "p" else None, (name, name, name)
    )


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh a state is to be. Without a consistency, the read models are brought up first."""

    consistency: Consistency | None = None
    min_position: int = 0
    wait: float = 5.0


def check_freshness(consistency: str | None, min_position: int | None, wait: float | None, *, now: bool) -> Freshness:
    """`now`: whether the state of now is asked for; others are folded from the log in any case."""
    given = {"--consistency": consistency, "--min-position": min_position, "--wait": wait}
    names = [name for name, value in given.items() if value is not None]
    if names and not now:
        raise InvalidInput(f"{' and '.join(names)} can be asked of the state of now only: leave out the rest.")
    if consistency is not None and consistency not in CONSISTENCIES:
        raise InvalidInput(f"There is no consistency {consistency!r}: use one of {', '.join(CONSISTENCIES)}.")
    if min_position is not None and min_position < 1:
        raise InvalidInput(f"--min-position counts from 1, so {min_position} is none.", value=min_position)
    if wait is not None and min_position is None:
        raise InvalidInput("--wait for what? Give --min-position P too.")
    if wait is not None and not 0 <= wait <= LONGEST_WAIT:
        raise InvalidInput(f"--wait takes 0 to {LONGEST_WAIT:g} seconds, not {wait:g}.", value=wait)
    return Freshness(consistency, min_position or 0, Freshness().wait if wait is None else wait)


def check_count(number: int | None, option: str) -> int | None:
    if number is not None and number < 1:
        raise InvalidInput(f"{option} counts from 1, so {number} is none.", value=number)
    return number


def parse_time(text: str, option: str, *, also: str = "") -> datetime:
    """ISO 8601 with a zone, to UTC. `also`: what else might stand there."""
    example = f"write it like 2024-01-17T10:00:00Z or 2024-01-17T11:00:00+01:00{also and f', {also}'}"
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
