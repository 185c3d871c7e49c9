"""Proves that what is kept beside the log agrees with it: documents, counts and snapshots against the plain fold.

The fold here begins at each first event and knows no snapshot; it is apart from the one that everybody else uses.
Nothing is locked, and what moves meanwhile is compared as of the position that it was read at.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from domain.errors import CorruptLog
from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader, FoldRequest, Stretch
from domain.snapshots import SPACING, Place, Snapshot, Stamp
from domain.task import Task
from domain.values import iso
from projections.attempts import OUTCOMES
from projections.documents import RENDERINGS

STREAMS_AT_ONCE = 500
EVENTS_AT_ONCE = 20_000
STRAYS_TOLD = 1000


@dataclass(frozen=True, slots=True)
class KeptDocument:
    kind: str
    id: str
    position: int
    body: bytes


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """`is_whole`: it is what was kept."""

    snapshot: Snapshot
    is_whole: bool


class Kept(Protocol):
    """What is kept beside the log. Every method raises ReadModelsUnavailable."""

    async def documents(self, stream_ids: Sequence[str]) -> tuple[int, list[KeptDocument]]:
        """The documents of these streams, and the position of the read models, at one moment."""
        ...

    async def attempts(self, task_ids: Sequence[str], position: int) -> dict[str, Counter[str]]:
        """How often attempts of these tasks ended in which way, up to a position."""
        ...

    async def strays(self, limit: int) -> list[str]:
        """Documents of which the log knows nothing, by the streams that they would have."""
        ...

    async def miscounted(self) -> list[tuple[str, str, int, int]]:
        """Kind and state of which the count (third) is not the number of documents (fourth), tasks by what they are
        found by too.
        """
        ...

    async def misplaced(self) -> list[str]:
        """Documents that are found by something else than what they say, by their streams."""
        ...

    async def misheld(self) -> list[str]:
        """Pools of which other reservations are kept than their documents show."""
        ...

    async def misrated(self) -> list[tuple[str, datetime]]:
        """Minutes and quarters of an hour (which, and when they began) whose rates are not those of attempts and
        completions.
        """
        ...

    async def snapshots(self, stream_id: str, stamp: Stamp, after: int, until: int) -> list[KeptSnapshot]:
        """The snapshots after a version and up to another."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree, in one sentence."""

    what: str
    about: str
    says: str


@dataclass(slots=True)
class Checked:
    """How much was compared so far."""

    streams: int = 0
    events: int = 0
    documents: int = 0
    snapshots: int = 0
    archived: int = 0
    """Streams that were not compared, as events of theirs are archived."""


class Checker:
    """Goes through all streams by their ids; memory is that of a page of streams."""

    def __init__(self, reader: EventReader, kept: Kept, folder: Folder = FOLDER) -> None:
        self._reader = reader
        self._kept = kept
        self._folder = folder
        self.checked = Checked()

    async def check(
        self,
        parked: Container[str] = (),
        until: int | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> AsyncIterator[Finding]:
        """What does not agree. `parked`: streams whose documents have stopped, which is known.

        `until`: compare only what folds give at that position, from their snapshots and without any: read models are
        of now. `advance` hears how many more events were compared.
        """
        mark, told = "", 0
        while page := await self._reader.streams_after(mark, STREAMS_AT_ONCE):
            mark = page[-1]
            known = [stream_id for stream_id in page if stream_id.partition("-")[0] in self._folder.aggregates]
            if archived := await self._reader.archived_streams(known):
                self.checked.archived += len(archived)
                known = [stream_id for stream_id in known if stream_id not in archived]
            if until is None:
                position, found = await self._kept.documents(known)
                documents = {f"{one.kind}-{one.id}": one.body for one in found}
                self.checked.documents += len(documents)
            else:
                position, documents = until, {}
            outcomes: dict[str, Counter[str]] = {}
            async for walk in self._walks(known, position):
                for finding in walk.findings:
                    yield finding
                if until is None and walk.is_whole:
                    if walk.stream_id.startswith("task-") and walk.stream_id not in parked:
                        outcomes[walk.stream_id.removeprefix("task-")] = walk.outcomes
                    for finding in self._document(walk, documents.get(walk.stream_id), parked):
                        yield finding
            if until is None:
                async for finding in self._attempts(outcomes, position):
                    yield finding
            self.checked.streams += len(known)
            advance(self.checked.events - told)
            told = self.checked.events
        if until is None:
            for stream_id in await self._kept.strays(STRAYS_TOLD):
                yield Finding("document", stream_id, "there is one, and the log knows no such stream")
            for kind, state, counted, there in await self._kept.miscounted():
                yield Finding("count", f"{kind} {state}", f"{counted} were counted, and there are {there}")
            for stream_id in await self._kept.misplaced():
                yield Finding("columns", stream_id, "it is found by something else than what its document says")
            for pool_id in await self._kept.misheld():
                yield Finding(
                    "reservations", f"pool-{pool_id}", "those kept by themselves are not those of its document"
                )
            for grain, begin in await self._kept.misrated():
                says = "what is told of it is not what its attempts and completions give"
                yield Finding("rates", f"the {grain} from {iso(begin)}", says)

    async def _walks(self, stream_ids: list[str], position: int) -> AsyncIterator["_Walk"]:
        """Each stream from its first event up to a position, and what the fold from snapshots makes of it."""
        versions = await self._reader.stream_versions(stream_ids)
        long = [stream_id for stream_id in stream_ids if versions[stream_id] > EVENTS_AT_ONCE]
        short = [stream_id for stream_id in stream_ids if stream_id not in set(long)]
        for group in _groups(short, versions):
            whole = await self._reader.read_folds(
                [FoldRequest(stream_id) for stream_id in group], up_to_position=position
            )
            usual = await self._reader.read_folds(
                [self._folder.request(stream_id) for stream_id in group], up_to_position=position
            )
            for stream_id, plain, other in zip(group, whole, usual, strict=True):
                walk = _Walk(stream_id, self._folder)
                await self._go_on(walk, plain)
                if walk.is_whole:
                    with walk.telling_errors():
                        walk.compare(self._folder.go_on(stream_id, other).state)
                yield walk
        for stream_id in long:
            walk = _Walk(stream_id, self._folder)
            cut = Cut(position=position)
            async with aclosing(self._reader.read_stretches(stream_id, cut=cut)) as stretches:
                async for stretch in stretches:
                    await self._go_on(walk, stretch)
            if walk.is_whole:
                with walk.telling_errors():
                    walk.compare((await self._folder.at(self._reader, stream_id, cut)).state)
            yield walk

    async def _go_on(self, walk: "_Walk", stretch: Stretch) -> None:
        self.checked.events += len(stretch.events)
        snapshots: list[KeptSnapshot] = []
        end = walk.version + len(stretch.events)
        if end >= SPACING:
            stamp = self._folder.codec(walk.stream_id).stamp
            snapshots = await self._kept.snapshots(walk.stream_id, stamp, walk.version, end)
            self.checked.snapshots += len(snapshots)
        walk.go_on(stretch, snapshots)

    def _document(self, walk: "_Walk", body: bytes | None, parked: Container[str]) -> Iterator[Finding]:
        stream_id = walk.stream_id
        if stream_id in parked:
            yield Finding("document", stream_id, "it has stopped at an event that it could not take (a dead letter)")
        elif walk.place is None:
            if body is not None:
                yield Finding("document", stream_id, "there is one before its stream has begun")
        elif body is None:
            yield Finding("document", stream_id, "there is none")
        else:
            place, kind = walk.place, stream_id.partition("-")[0]
            rendered = RENDERINGS[kind].render(walk.state, place.version, place.position, place.recorded_at)
            if body != rendered:
                yield Finding("document", stream_id, f"it is not what its events up to version {place.version} give")

    async def _attempts(self, outcomes: Mapping[str, Counter[str]], position: int) -> AsyncIterator[Finding]:
        kept = await self._kept.attempts(list(outcomes), position)
        for task_id, told in outcomes.items():
            found = kept.get(task_id, Counter())
            if found != told:
                says = f"{dict(found)} are kept, and its events tell of {dict(told)}"
                yield Finding("attempts", f"task-{task_id}", says)


class _Walk:
    """The plain fold of one stream, event by event."""

    def __init__(self, stream_id: str, folder: Folder) -> None:
        self.stream_id = stream_id
        self.version = 0
        self.state: Any = None
        self.place: Place | None = None
        self.outcomes: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.is_whole = True
        self._aggregate = folder.aggregates[stream_id.partition("-")[0]]
        self._catalogue = folder.catalogue
        self._codec = folder.codec(stream_id)

    def find(self, what: str, says: str) -> None:
        self.findings.append(Finding(what, self.stream_id, says))

    def go_on(self, stretch: Stretch, snapshots: Sequence[KeptSnapshot]) -> None:
        due = {one.snapshot.place.version: one for one in snapshots}
        for stored in stretch.events if self.is_whole else ():
            try:
                event = self._catalogue.decode(*stored)
                if type(event) in OUTCOMES and isinstance(self.state, Task) and self.state.state == "running":
                    self.outcomes[OUTCOMES[type(event)]] += 1
                self.state = self._aggregate.evolve(self.state, event)
            except Exception as error:  # an event can fail in any way that a fold can
                said = error.message if isinstance(error, CorruptLog) else f"{type(error).__name__}: {error}"
                self.find("stream", f"it can't be folded at version {self.version + 1} ({said})")
                self.is_whole = False
                return
            self.version += 1
            if self.version in due:
                self._check(due[self.version])
        self.place = stretch.last or self.place

    def _check(self, kept: KeptSnapshot) -> None:
        if not kept.is_whole:
            self.find("snapshot", f"the one at version {self.version} was spoiled; nobody goes on from it")
        elif kept.snapshot.state != self._codec.to_bytes(self.state):
            self.find("snapshot", f"the one at version {self.version} is not what its events give")

    def compare(self, usual: Any) -> None:
        """With what the fold that everybody else uses has come to."""
        if usual != self.state:
            self.find("fold", "from its snapshots it is another state")

    @contextmanager
    def telling_errors(self) -> Iterator[None]:
        """That fold can't go where this one could: that is a finding."""
        try:
            yield
        except CorruptLog as error:
            self.find("fold", error.message)


def _groups(stream_ids: list[str], versions: Mapping[str, int]) -> Iterator[list[str]]:
    """So many streams together as one question may answer."""
    group: list[str] = []
    size = 0
    for stream_id in stream_ids:
        group.append(stream_id)
        size += versions[stream_id]
        if size >= EVENTS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group
