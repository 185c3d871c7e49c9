"""The jobs of the worker, one line each: what is done once an interval, by some worker that has the role."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dora_state.progress import Unwatched
from dora_state.rebuilding import Wish, outdated, rebuild
from dora_state.resting import unless
from dora_state.settings import Settings
from dora_state.worker import chores
from dora_state.worker.roles import WorkerRole
from dora_state.worker.workplace import Workplace
from projections.projection import Projection

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """`interval` is in seconds, at least 0.01. `run` may be called while another worker is still at it, or by two at
    the same time: once it is done, doing it again must change nothing."""

    name: str
    role: WorkerRole
    interval: float
    run: Callable[[Workplace], Awaitable[object]]


def jobs(settings: Settings) -> tuple[Job, ...]:
    """What passes quickly is looked at each `worker_interval`, the rest less often."""
    each = settings.worker_interval
    return (
        Job("time-limits", WorkerRole.CHORES, each, partial(chores.give, due=chores.overdue_tasks)),
        Job("reservations", WorkerRole.CHORES, each, partial(chores.give, due=chores.expired_reservations)),
        Job("silent-agents", WorkerRole.CHORES, 5 * each, partial(chores.give, due=chores.silent_agents)),
        Job("overlong-workflows", WorkerRole.CHORES, 10 * each, partial(chores.give, due=chores.overlong_workflows)),
        Job("snapshots", WorkerRole.SNAPSHOTS, 5 * each, take_snapshots),
        Job("months", WorkerRole.MONTHS, HOUR, make_months),
        Job("rebuilds", WorkerRole.REBUILD, 10 * each, rebuild_outdated),
    )


async def take_snapshots(place: Workplace) -> None:
    taken = await place.platform.snapshotter.catch_up(place.stop)
    if taken:
        place.say(f"Snapshots were taken: {taken}.")


async def rebuild_outdated(place: Workplace) -> None:
    """Nothing unless the settings want it: a projection of another version has halted, and that says what to do."""
    if place.platform.settings.rebuild != "auto":
        return
    if (wanted := await outdated(place.platform)) and not place.stop.is_set():
        await unless(place.stop, _rebuild(place, wanted))


async def _rebuild(place: Workplace, wanted: Sequence[Projection]) -> None:
    async for report in rebuild(place.platform, wanted, Unwatched(), Wish()):
        place.say(f"The projection {report.projection} was built anew up to position {report.position}.")


async def make_months(place: Workplace) -> None:
    made = await place.platform.log.maintain()
    if made:
        place.say(f"Months of the log were made: {', '.join(made)}.")
