"""What came of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dora_state.testing.checker import Counts, Fault
from tests.torture.faults import Happened
from tests.torture.watch import Recoveries, Stop

LOST, TWICE, OUT_OF_ORDER = ("lost",), ("twice", "invented"), ("positions", "versions", "times", "divided", "followers")


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `stuck` are processes that did not leave or come up again, `crashed` what told of a fault of ours."""

    seed: int
    seconds: float
    happened: Sequence[Happened]
    skipped: Counter[str]
    counts: Counts
    counted: int
    """How far clients counted that took turns by a lock."""
    found: Sequence[Fault]
    recoveries: Recoveries
    stops: Sequence[Stop]
    errands: Counter[tuple[str, int]]
    begun: Counter[str]
    stuck: Sequence[str]
    crashed: Sequence[str]
    replay: str

    @property
    def is_good(self) -> bool:
        return not (self.found or self.stuck or self.crashed or self.replay)

    def _faults_about(self, stop: Stop) -> list[str]:
        """Those that went on then, or had just ended."""
        end = stop.began + stop.lasted
        return [one.name for one in self.happened if one.at < end and one.at + one.lasted > stop.began - 1]

    def lines(self) -> Iterator[str]:
        kinds = Counter(one.name for one in self.happened)
        yield f"Torture of {self.seconds:.0f} s, seed {self.seed}: {len(self.happened)} faults of {len(kinds)} kinds."
        for name, count in sorted(kinds.items()):
            yield f"  {count:4d}  {name}" + (
                f" ({self.skipped[name]} found nothing to hit)" if self.skipped[name] else ""
            )
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.outcomes.most_common())
        yield f"{self.counts.commands} commands: {outcomes}; {self.counts.events} events."
        yield (
            f"{self.counts.followed} events were followed, {self.counts.reads} reads were checked,"
            f" and under a lock clients counted to {self.counted}."
        )
        done = ", ".join(f"{name} {count} times ({code})" for (name, code), count in sorted(self.errands.items()))
        yield f"Errands, with how they ended: {done}."
        begun = ", ".join(f"{name} {count}" for name, count in sorted(self.begun.items()))
        yield f"Processes were begun: {begun}."
        yield _recovered("Writes went on", self.recoveries.writes)
        yield _recovered("Read models had what was there", self.recoveries.projections)
        yield "Longest times without a new event while PostgreSQL answered, with the faults of the time:"
        for stop in sorted(self.stops, key=lambda one: -one.lasted)[:5]:
            yield f"  {stop.lasted:.1f} s ({', '.join(self._faults_about(stop)) or 'none'})"
        by_promise = Counter(one.promise for one in self.found)
        lost, twice, order = (sum(by_promise[name] for name in names) for names in (LOST, TWICE, OUT_OF_ORDER))
        others = by_promise.total() - lost - twice - order
        yield f"{lost} lost, {twice} twice, {order} out of order, {len(self.stuck)} stuck, {others} other faults found."
        for fault in self.found[:50]:
            yield f"  {fault.promise}: {fault.says}"
        for one in (*self.stuck, *self.crashed):
            yield f"  {one}"
        yield self.replay or "replay --check: all that is kept agrees with the log."


def _recovered(what: str, seconds: Sequence[float]) -> str:
    if not seconds:
        return f"{what}: PostgreSQL was never away."
    ordered = sorted(seconds)
    middle, longest = ordered[len(ordered) // 2], ordered[-1]
    return f"{what} after PostgreSQL was there again: {middle:.2f} s (median), {longest:.2f} s (longest)."
