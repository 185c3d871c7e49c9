"""What ended in each minute, hour or day: how much, how well, and how long it took."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, get_args

from domain.errors import InvalidInput
from domain.text import require_text, shown
from projections.documents.values import ratio
from projections.ports import Clock, ReadModelStore
from projections.questions import Questions, counted

Per = Literal["minute", "hour", "day"]
MAX_STRETCHES = 1_500
"""So many at most are told at once: the minutes of a day, two months of hours, four years of days."""
USUAL = {"minute": timedelta(hours=1), "hour": timedelta(days=1), "day": timedelta(days=30)}
"""How far back is told of where nobody says from when."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """What ended from `begin` on and before `end`.

    `error_rate` is (failed + timed out) / (completed + failed + timed out), to four decimals, 0 of nothing. Averages
    are in seconds, None where nothing was measured.
    """

    begin: datetime
    end: datetime
    tasks_completed: int = 0
    tasks_failed: int = 0
    tasks_timed_out: int = 0
    tasks_cancelled: int = 0
    workflows_completed: int = 0
    error_rate: float = 0.0
    average_response_time: float | None = None
    average_execution_time: float | None = None


class RateHistory:
    """Rates of any time; `zone` is where days and hours begin."""

    def __init__(
        self, store: ReadModelStore, clock: Clock, zone: tzinfo, *, questions: Questions | None = None
    ) -> None:
        self.questions = questions or Questions()
        self._store = store
        self._clock = clock
        self._zone = zone

    @counted("rates")
    async def rates(
        self, per: str, begin: datetime | None = None, end: datetime | None = None, *, agent_id: str | None = None
    ) -> list[Rate]:
        """Each minute, hour or day, from the one with `begin` in it to the one with the last moment before `end` (now).

        Those in which nothing ended are told too. With an agent: of the tasks that it was at; workflows are no agent's.
        Raises InvalidInput.
        """
        if per not in get_args(Per):
            known = ", ".join(get_args(Per))
            raise InvalidInput(f"Rates are not told per {shown(per)}: use one of {known}.", per=shown(per))
        for moment in (begin, end):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput(f"The time {moment} has no zone; give it one.")
        end = end or self._clock()
        begin = begin or end - USUAL[per]
        if begin >= end:
            raise InvalidInput("Rates from a moment up to the same or an earlier one are none: give a later end.")
        bounds = self._bounds(per, begin, end)
        facts = {"bounds": bounds, "first": bounds[0], "last": bounds[-1]}
        if agent_id is None:
            grain = "minute" if per == "minute" else "quarter"
            rows = await self._store.rows("lists/rates", grain=grain, **facts)
        else:
            require_text("agent_id", agent_id)
            rows = await self._store.rows("lists/rates_of_agent", agent_id=agent_id, **facts)
        told = {place: figures for place, *figures in rows}
        return [_rate(first, last, told.get(place)) for place, (first, last) in enumerate(pairwise(bounds), start=1)]

    def _bounds(self, per: str, begin: datetime, end: datetime) -> list[datetime]:
        """Where the stretches begin, and where the last one ends. Raises InvalidInput where they are too many."""
        bounds = []
        try:
            for bound in _days(begin, self._zone) if per == "day" else _steps(per, begin, self._zone):
                bounds.append(bound)
                if bound >= end:
                    return bounds
                if len(bounds) > MAX_STRETCHES:
                    break
        except OverflowError:
            raise InvalidInput("Rates are told of the years 1 to 9999; give other moments.") from None
        advice = "" if per == "day" else ", or per day"
        raise InvalidInput(f"That are more than {MAX_STRETCHES:,} {per}s: ask for less time at once{advice}.")


def _steps(per: str, begin: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Minutes or hours; they pass evenly, whatever clocks are put to."""
    if per == "minute":
        at, step = begin.astimezone(UTC).replace(second=0, microsecond=0), timedelta(minutes=1)
    else:
        local = begin.astimezone(zone).replace(minute=0, second=0, microsecond=0)
        at, step = local.astimezone(UTC), timedelta(hours=1)
    while True:
        yield at
        at += step


def _days(begin: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Midnights; from one to the next may be an hour more or less than a day."""
    day = begin.astimezone(zone).date()
    while True:
        yield datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        day += timedelta(days=1)


def _rate(begin: datetime, end: datetime, figures: list[int] | None) -> Rate:
    if figures is None:
        return Rate(begin, end)
    completed, failed, timed_out, cancelled, responses, response_time, executions, execution_time, workflows = figures
    return Rate(
        begin,
        end,
        completed,
        failed,
        timed_out,
        cancelled,
        workflows,
        ratio(failed + timed_out, completed + failed + timed_out, of_nothing=0.0),
        _average(response_time, responses),
        _average(execution_time, executions),
    )


def _average(microseconds: int, count: int) -> float | None:
    return round(microseconds / count / _MICROSECONDS, 3) if count else None
