"""What came of it."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from dora_state.testing.checker import Counts, Fault
from tests.torture.errands import NAMES
from tests.torture.faults import Happened
from tests.torture.upkeep import TYPES
from tests.torture.watch import Recovery, Span

LOST, TWICE, OUT_OF_ORDER = ("lost",), ("twice", "invented"), ("positions", "versions", "times", "divided", "followers")

WRITES, READ_MODELS = "Writes went on", "Read models had what was there"
JUST_BEFORE = 1.0
"""Seconds in which what had ended may still have been the cause."""


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
    months: int
    """In which events were recorded."""
    found: Sequence[Fault]
    writes: Recovery
    projections: Recovery
    stops: Sequence[Span]
    errands: Counter[tuple[str, int]]
    in_peace: Collection[str]
    """The errands that were done once more in the end."""
    begun: Counter[str]
    stuck: Sequence[str]
    crashed: Sequence[str]
    replay: str

    @property
    def is_good(self) -> bool:
        return not (self.found or self.stuck or self.crashed or self.replay or self.untried)

    @property
    def late(self) -> list[str]:
        """What took longer than is promised, or was not there after so long, with nothing else broken at the time."""
        return [
            f"{what} {how} {span.lasted:.2f} s after PostgreSQL was there again, and within {most:.0f} s is promised."
            for what, recovery, most in ((WRITES, self.writes, 5.0), (READ_MODELS, self.projections, 10.0))
            for how, spans in (("only", recovery.done), ("not within the", recovery.broken_off))
            for span in spans
            if span.lasted > most and not self._felt(span)
        ]

    @property
    def untried(self) -> list[str]:
        """Without what nothing is shown."""
        told = []
        if not self.happened:
            told.append("No fault found anything to hit.")
        if not self.counts.followed:
            told.append("Nobody followed the log.")
        if not self.counts.own_reads:
            told.append("Nobody read what it had written.")
        if never := sorted(TYPES - self.counts.recorded.keys()):
            told.append(f"Never accepted: {', '.join(never)}.")
        if self.months < 2:
            told.append("The log did not come to a new month.")
        if left := [name for name in NAMES if name not in self.in_peace]:
            told.append(f"With nothing broken any more, not done: {', '.join(left)}.")
        return told

    def _felt(self, span: Span, before: float = 0.0) -> list[str]:
        """The faults of that time, and of seconds before it."""
        end, begin = span.began + span.lasted, span.began - before
        return [one.name for one in self.happened if one.began < end and one.began + one.felt > begin]

    def lines(self) -> Iterator[str]:
        kinds = Counter(one.name for one in self.happened)
        yield f"Torture of {self.seconds:.0f} s, seed {self.seed}: {len(self.happened)} faults of {len(kinds)} kinds."
        for name in sorted(kinds | self.skipped):
            count = kinds[name]
            yield f"  {count:4d}  {name}" + (
                f" ({self.skipped[name]} found nothing to hit)" if self.skipped[name] else ""
            )
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.outcomes.most_common())
        yield f"{self.counts.commands} commands: {outcomes}; {self.counts.events} events."
        yield (
            f"{self.counts.followed} events were followed; {self.counts.reads} reads were checked,"
            f" {self.counts.own_reads} of them for what was just written;"
            f" under a lock clients counted to {self.counted}."
        )
        accepted = ", ".join(f"{count} {type}" for type, count in self.counts.recorded.most_common())
        yield f"Accepted were {accepted or 'none'}; the log came through {self.months} months."
        done = ", ".join(f"{name} {_times(count)} ({code})" for (name, code), count in sorted(self.errands.items()))
        yield f"Errands, with how they ended: {done or 'none did'}; {len(self.in_peace)} were done in the end."
        begun = ", ".join(f"{name} {count}" for name, count in sorted(self.begun.items()))
        yield f"Processes were begun: {begun}."
        yield from self._recovered(WRITES, self.writes)
        yield from self._recovered(READ_MODELS, self.projections)
        if self.stops:
            yield "Longest times without a new event while PostgreSQL answered, with the faults of the time:"
        for stop in sorted(self.stops, key=_lasted, reverse=True)[:5]:
            yield f"  {stop.lasted:.1f} s ({', '.join(self._felt(stop, JUST_BEFORE)) or 'none'})"
        by_promise = Counter(one.promise for one in self.found)
        lost, twice, order = (sum(by_promise[name] for name in names) for names in (LOST, TWICE, OUT_OF_ORDER))
        others = by_promise.total() - lost - twice - order
        yield f"{lost} lost, {twice} twice, {order} out of order, {len(self.stuck)} stuck, {others} other faults found."
        for fault in self.found[:50]:
            yield f"  {fault.promise}: {fault.says}"
        for one in (*self.late, *self.untried, *self.stuck, *self.crashed):
            yield f"  {one}"
        yield self.replay or "replay --check: all that is kept agrees with the log."

    def _recovered(self, what: str, recovery: Recovery) -> Iterator[str]:
        spans = sorted(recovery.done, key=_lasted, reverse=True)
        if spans:
            alone = [span for span in spans if not self._felt(span)]
            middle, longest = spans[len(spans) // 2].lasted, f"{alone[0].lasted:.2f} s" if alone else "none"
            yield (
                f"{what} after PostgreSQL was there again ({_times(len(spans))}): {middle:.2f} s (median),"
                f" {longest} (longest of {len(alone)} without another fault meanwhile)."
            )
            for span in [one for one in spans if one not in alone][:3]:
                yield f"  {span.lasted:.2f} s with others ({', '.join(self._felt(span))})"
        elif recovery.broken_off:
            yield f"{what}: never before PostgreSQL went away again."
        else:
            yield f"{what}: PostgreSQL was never there again."
        if recovery.broken_off:
            most = max(map(_lasted, recovery.broken_off))
            yield f"  {_times(len(recovery.broken_off))} it went away before that, after {most:.2f} s at most"


def _lasted(span: Span) -> float:
    return span.lasted


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
