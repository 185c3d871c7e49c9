"""The questions asked of the read models: one document, or its state at a cut; lists are in `lists.py`."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from domain.errors import Archived, CutOutOfRange, NotFound
from domain.folding import FOLDER, Folder
from domain.log import NOW, Cut, EventReader, RecordedEvent
from domain.system import SYSTEM_ID
from domain.workflow import ACTIVE
from projections.cache_ports import NO_METER, NO_NEAR_COPIES, HotCopies, Meter, NearCopies
from projections.documents import agent as agents
from projections.documents import audit
from projections.documents import system as systems
from projections.documents import task as tasks
from projections.documents.frozen import frozen
from projections.documents.values import Document, decode, encode
from projections.errors import NotProjectedYet
from projections.figures import PastFigures
from projections.folded import Moment, StateAtCut
from projections.ports import Clock, PresenceBoard, ReadModelStore, Signal
from projections.questions import Questions, counted
from projections.reading import Consistency, Reading

Ask = Callable[[str, str, int], Awaitable[Document]]
UTC_ZONE = ZoneInfo("UTC")
RATE_WINDOW = timedelta(minutes=15)
"""An agent's processing rate is that of the last 15 minutes."""
TRAIL_LENGTH = 200
"""So many entries of a task's audit trail are shown, the last ones."""


class Queries:
    """One document at a time, as of the moment of asking. `zone` is where "today" begins at midnight.

    `min_position` asks for an answer that includes the event at that position; `patience` is how many seconds it may
    take until the read models have come there. Then NotProjectedYet says how far they are.
    """

    def __init__(
        self,
        store: ReadModelStore,
        hot: HotCopies,
        presence: PresenceBoard,
        reader: EventReader,
        clock: Clock,
        *,
        near: NearCopies = NO_NEAR_COPIES,
        meter: Meter = NO_METER,
        moved: Signal | None = None,
        zone: tzinfo = UTC_ZONE,
        folder: Folder = FOLDER,
        questions: Questions | None = None,
    ) -> None:
        self.questions = questions or Questions()
        self._store = store
        self._presence = presence
        self._reader = reader
        self._clock = clock
        self._zone = zone
        self._catalogue = folder.catalogue
        self._reading = Reading(store, hot, near, meter, moved)
        self._at_cut = StateAtCut(reader, folder)
        self._past_figures = PastFigures(reader, store, folder)

    async def workflow(self, id: str, *, min_position: int = 0) -> Document:
        return await self._reading.document("workflow", id, min_position)

    async def task(self, id: str, *, min_position: int = 0) -> Document:
        """With its audit trail, up to the version that the document shows."""
        document = await self._reading.document("task", id, min_position)
        return await self._with_trail(tasks.as_of(document, self._clock()))

    async def agent(self, id: str, *, min_position: int = 0) -> Document:
        return await self._with_presence(await self._reading.document("agent", id, min_position))

    async def pool(self, id: str, *, min_position: int = 0) -> Document:
        return await self._reading.document("pool", id, min_position)

    async def system(self, *, min_position: int = 0) -> Document:
        """The platform's one document; its counts are of interest before anything was configured too."""
        try:
            document = await self._reading.document("system", SYSTEM_ID, min_position)
        except NotFound:
            document = decode(encode(systems.unheard_of(self._clock())))
        return await self._with_figures(document)

    async def show(
        self,
        kind: str,
        id: str,
        *,
        min_position: int = 0,
        patience: float = 0.0,
        consistency: Consistency = "projected",
    ) -> Document:
        """The document of a kind, whichever it is. `cached` ones are frozen. Raises NotFound, NotProjectedYet."""
        match consistency:
            case "cached":
                self.questions.asked("cached")
                found = self._peek(kind, id, min_position)
                return found if found is not None else await self.load(kind, id, min_position, patience)
            case "projected":
                return await self._shown(kind, id, min_position, patience)
            case "live":
                await self._require_recorded(min_position)
                return await self._live(kind, id)

    async def load(self, kind: str, id: str, min_position: int = 0, patience: float = 0.0) -> Document:
        """The cached document, kept from here on in this process. Raises NotFound, NotProjectedYet."""
        return await self._patiently(self._cached, kind, id, min_position, patience)

    @counted("projected")
    async def _shown(self, kind: str, id: str, min_position: int, patience: float) -> Document:
        return await self._patiently(self._projected, kind, id, min_position, patience)

    async def _patiently(self, ask: Ask, kind: str, id: str, min_position: int, patience: float) -> Document:
        try:
            return await ask(kind, id, min_position)
        except NotProjectedYet:
            if patience <= 0:
                raise
        await self._reading.require_position(min_position, patience)
        return await ask(kind, id, min_position)

    def peek(self, kind: str, id: str, min_position: int = 0) -> Document | None:
        """The cached document at once, frozen; None if it is not in this process or has to be completed."""
        found = self._peek(kind, id, min_position)
        if found is not None:
            self.questions.asked("cached")
        return found

    def _peek(self, kind: str, id: str, min_position: int) -> Document | None:
        if kind in ("agent", "system"):
            return None
        document = self._reading.peek(kind, id, min_position)
        return None if document is None else self._opened(kind, document)

    async def _projected(self, kind: str, id: str, min_position: int) -> Document:
        match kind:
            case "system":
                return await self.system(min_position=min_position)
            case "task":
                return await self.task(id, min_position=min_position)
            case "agent":
                return await self.agent(id, min_position=min_position)
            case _:
                return await self._reading.document(kind, id, min_position)

    async def _cached(self, kind: str, id: str, min_position: int) -> Document:
        """A task's trail belongs to its version, so it is kept with it; presence and figures are of the moment."""
        try:
            document = await self._reading.shared(
                kind, id, self._with_trail if kind == "task" else _as_it_is, min_position
            )
        except NotFound:
            if kind == "system":
                return frozen(await self.system())
            raise
        match kind:
            case "agent":
                return frozen(await self._with_presence({**document, "capacity": dict(document["capacity"])}))
            case "system":
                return frozen(await self._with_figures(document))
            case _:
                return self._opened(kind, document)

    def _opened(self, kind: str, document: Document) -> Document:
        """With what depends on the moment of asking: a running task's time so far."""
        if kind != "task" or document["state"] != "running":
            return document
        metrics = dict(document["execution_metrics"])
        return frozen(tasks.as_of({**document, "execution_metrics": metrics}, self._clock()))

    async def state_at(self, kind: str, id: str, cut: Cut = NOW) -> Document:
        """The document as the events up to a cut give it, read models aside.

        At a cut in the past, telemetry is not known: it is null. Raises NotFound and CutOutOfRange, and NotProjectedYet
        for the system's document at a cut that the read models, which know its counts, have not come to.
        """
        return await (self._live(kind, id) if cut.is_now else self._past(kind, id, cut))

    @counted("live")
    async def _live(self, kind: str, id: str) -> Document:
        return await self._folded(kind, id, NOW)

    @counted("past")
    async def _past(self, kind: str, id: str, cut: Cut) -> Document:
        return await self._folded(kind, id, cut)

    async def _folded(self, kind: str, id: str, cut: Cut) -> Document:
        now = self._clock()
        if kind == "system" and not cut.is_now:
            return await self._system_at(cut, now)
        if kind == "system":
            return await self._with_figures(await self._system_now(now))
        folded = await self._at_cut.fold(kind, id, cut, now)
        match kind:
            case "task":
                return await self._with_trail(tasks.as_of(folded.document, folded.moment))
            case "agent" if cut.is_now:
                return await self._with_presence(folded.document)
            case _:
                return folded.document

    async def _system_now(self, now: datetime) -> Document:
        try:
            return (await self._at_cut.fold("system", SYSTEM_ID, NOW, now)).document
        except NotFound:
            return decode(encode(systems.unheard_of(now)))

    async def _system_at(self, cut: Cut, now: datetime) -> Document:
        """Its counts are of interest also before anything of it was configured."""
        if cut.version is None:
            moment = await self._at_cut.recorded(cut, now)
            try:
                document = (await self._at_cut.fold("system", SYSTEM_ID, cut, now)).document
            except (NotFound, CutOutOfRange):
                document = decode(encode(systems.unheard_of(moment.at)))
        else:
            folded = await self._at_cut.fold("system", SYSTEM_ID, cut, now)
            document, moment = folded.document, Moment(folded.whole_position, folded.moment)
        await self._reading.require_position(moment.position)
        figures = await self._past_figures.at(moment.position, moment.at, self._midnight(moment.at))
        return systems.as_of(document, figures)

    async def require(self, kind: str, id: str, cut: Cut) -> None:
        """Raises NotFound and CutOutOfRange where there is nothing at a cut."""
        await self._at_cut.require(kind, id, cut, self._clock())

    async def moment(self, cut: Cut) -> Moment:
        """Where the log was at a cut by time or position. Raises CutOutOfRange for what has not come yet."""
        return await self._at_cut.moment(cut, self._clock())

    async def recorded(self, cut: Cut) -> Moment:
        """The same, where something was recorded by then. Raises CutOutOfRange also where nothing was."""
        return await self._at_cut.recorded(cut, self._clock())

    async def active_workflows(self) -> int:
        """How many workflows are running or paused, as far as the read models know."""
        return await self._store.count("workflow", sorted(ACTIVE))

    async def reached(self) -> int:
        """The position up to which the read models are."""
        return await self._reading.reached()

    async def _require_recorded(self, position: int) -> None:
        """The log itself has nothing to wait for. Raises NotProjectedYet."""
        if not position:
            return
        head = await self._at_cut.moment(NOW, self._clock())
        if head.position < position:
            raise NotProjectedYet(
                f"The log ends at position {head.position} and {position} was asked for; try again.",
                position=head.position,
                asked=position,
            )

    async def _with_trail(self, document: Document) -> Document:
        """The end of it: a task may have told of its progress a million times, and its history is there for that."""
        version, stream_id = document["stream_version"], f"task-{document['task_id']}"
        omitted = max(version - TRAIL_LENGTH, 0)
        try:
            records = await self._trail(stream_id, omitted, version)
        except Archived as error:  # the state is known, and so is what of its trail is left
            omitted = min(int(str(error.facts["first_version"])) - 1, version)
            records = await self._trail(stream_id, omitted, version)
        entries = audit.trail(records, self._catalogue)
        document["audit_trail"] = decode(encode({"entries": entries}))["entries"]
        document["audit_trail_omitted"] = omitted
        return document

    async def _trail(self, stream_id: str, after: int, until: int) -> list[RecordedEvent]:
        if after >= until:
            return []
        stream = self._reader.read_stream(stream_id, after_version=after, cut=Cut(version=until))
        return [record async for record in stream]

    async def _with_presence(self, document: Document) -> Document:
        agent_id, now = document["agent_id"], self._clock()
        presence = await self._presence.of([agent_id])
        completed = await self._store.completed_by([agent_id], now - RATE_WINDOW, now)
        rate = round(completed.get(agent_id, 0) / (RATE_WINDOW / timedelta(minutes=1)), 3)
        return agents.as_of(document, presence.get(agent_id), rate)

    async def _with_figures(self, document: Document) -> Document:
        now = self._clock()
        return systems.as_of(document, await self._store.figures(now, self._midnight(now)))

    def _midnight(self, now: datetime) -> datetime:
        return now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)


async def _as_it_is(document: Document) -> Document:
    return document
