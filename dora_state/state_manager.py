"""StateManager: what a Python program uses to submit commands and to ask for states, now or in the past."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID
from zoneinfo import ZoneInfo

from commands.edge import Edge
from commands.envelope import Answer, Envelope, Problem
from commands.messages.workflow import RollBackWorkflow
from domain.errors import DoraStateError, InvalidInput
from domain.log import NOW, START, Cut
from domain.pool import DEFAULT_WEIGHTS
from domain.system import SYSTEM_ID
from domain.values import Priority
from dora_state.effects import Effect, effect_of
from dora_state.exporting import begin_export
from dora_state.platform import Platform, new_id, now, open_platform
from dora_state.servers import Say, quiet
from dora_state.settings import Settings, load_settings
from projections import changes
from projections.differences import Difference
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode
from projections.errors import NotProjectedYet
from projections.history import EVERYTHING, HistoryEntry, HistoryFilter
from projections.lists import Lists
from projections.rates import Rate, RateHistory
from projections.reading import CONSISTENCIES, Consistency
from projections.timelines import Timeline
from projections.traces import Looked, Trace, unheard

KINDS = tuple(RENDERINGS)
Submission = Mapping[str, object] | bytes | str


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What a rollback would do: the workflow's document before and after, and what else it touches.

    `effects` are what it does to tasks, agents and pools; `problem` says why it would be refused.
    """

    before: Document
    after: Document
    patch: changes.Patch
    lines: tuple[str, ...]
    effects: tuple[Effect, ...]
    problem: Problem | None


class Asked(TypedDict, total=False):
    """How fresh a state is to be; `StateManager.state` explains it."""

    consistency: Consistency
    min_position: int
    patience: float


class StateManager:
    """One tenant's state. Make it with `open_state_manager`."""

    def __init__(self, platform: Platform, *, default_actor: str | None = None) -> None:
        self.platform = platform
        self._edge = Edge(tenant=platform.settings.tenant, new_id=new_id, clock=now, default_actor=default_actor)

    # --- commands ---------------------------------------------------------------------------------------

    def parse(self, submission: Submission) -> Envelope:
        """Check one submission. Raises InvalidInput that names the field and the reason."""
        if isinstance(submission, Mapping):
            return self._edge.check(submission)
        return self._edge.parse(submission.encode() if isinstance(submission, str) else submission)

    async def submit(self, submission: Submission | Envelope) -> Answer:
        """Submit one command and wait for its durable answer; nothing that is wrong with it raises."""
        try:
            envelope = submission if isinstance(submission, Envelope) else self.parse(submission)
        except InvalidInput as error:
            return _invalid(error)
        try:
            return await self.platform.bus.submit(envelope)
        except DoraStateError as error:
            problem = Problem(error.code, error.message, error.facts)
            return Answer(envelope.command_id, envelope.command.type, "failed", problem=problem)

    async def submit_many(self, submissions: Iterable[Submission | Envelope]) -> list[Answer]:
        """Submit commands one after the other; each is decided on what the ones before it left."""
        return [await self.submit(submission) for submission in submissions]

    async def rollback_workflow(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        reason: str,
        operator: str,
        workflow_only: bool = False,
    ) -> Answer:
        """Restore an earlier state of a workflow and of its tasks, by an event that says why and by whom."""
        data = _rollback_data(workflow_id, to_version, to_time, to_position, reason, operator, workflow_only)
        return await self.submit({"type": RollBackWorkflow.type, "actor": operator, "data": data})

    async def preview_rollback(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        reason: str | None = None,
        operator: str | None = None,
        workflow_only: bool = False,
    ) -> RollbackPreview:
        """Decide a rollback without recording anything. Raises NotFound, InvalidInput."""
        # The command can't be without them; what nobody has given is not told either.
        why, who = reason or "preview", operator or "preview"
        data = _rollback_data(workflow_id, to_version, to_time, to_position, why, who, workflow_only)
        envelope = self.parse({"type": RollBackWorkflow.type, "actor": who, "data": data})
        before = await self.state("workflow", workflow_id, live=True)
        # A decider of its own: what is only tried must not be seen by the bus.
        decision = await self.platform.new_decider().decide(envelope, now())
        if decision.problem is not None:
            return RollbackPreview(before, before, [], (), (), decision.problem)
        left = decision.work.left[envelope.command.stream_id]
        rendered = RENDERINGS["workflow"].render(left.state, left.version, 0, now())
        after = decode(rendered)
        states = {task_id: view["state"] for task_id, view in before["tasks"].items()}
        effects = tuple(
            effect_of(
                key.aggregate.category,
                key.aggregate_id,
                event,
                reason_given=reason is not None,
                state=states.get(key.aggregate_id) if key.aggregate.category == "task" else None,
            )
            for key, event in decision.work.events
            if key.aggregate.category != "workflow"
        )
        return RollbackPreview(before, after, *changes.compare(before, after), effects, None)

    # --- states -----------------------------------------------------------------------------------------

    async def state(
        self,
        kind: str,
        aggregate_id: str,
        *,
        cut: Cut = NOW,
        live: bool = False,
        consistency: Consistency = "projected",
        min_position: int = 0,
        patience: float = 0.0,
    ) -> Document:
        """The document of one aggregate: now, or folded from the log at a cut.

        Now, `projected` is what the read models have; `cached` what this process keeps, if it is known to be fresh,
        and not to be changed; `live` (or `live=True`) the fold of the log itself. `min_position`, such as that of a
        command's answer, asks for a state that includes it; `patience` is how many seconds that may take. Raises
        NotFound, NotProjectedYet that says how far the read models are, and CutOutOfRange that names the range there
        is.
        """
        _check_kind(kind)
        if consistency not in CONSISTENCIES:
            known = ", ".join(CONSISTENCIES)
            raise InvalidInput(f"There is no consistency {consistency}; there are {known}.", consistency=consistency)
        if not cut.is_now:
            if min_position or consistency == "cached":
                raise InvalidInput("A past state is always folded from the log: leave out the consistency or the cut.")
            return await self.platform.queries.state_at(kind, aggregate_id, cut)
        return await self.platform.queries.show(
            kind,
            aggregate_id,
            consistency="live" if live else consistency,
            min_position=min_position,
            patience=patience,
        )

    async def get_workflow_state(
        self, workflow_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> Document:
        return await self.state("workflow", workflow_id, cut=Cut(version=version, at=at_time), **asked)

    async def get_task_state(
        self, task_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> Document:
        return await self.state("task", task_id, cut=Cut(version=version, at=at_time), **asked)

    async def get_agent_state(
        self, agent_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> Document:
        return await self.state("agent", agent_id, cut=Cut(version=version, at=at_time), **asked)

    async def get_pool_state(
        self, pool_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> Document:
        return await self.state("pool", pool_id, cut=Cut(version=version, at=at_time), **asked)

    async def get_system_state(
        self, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> Document:
        return await self.state("system", SYSTEM_ID, cut=Cut(version=version, at=at_time), **asked)

    async def history(
        self,
        kind: str,
        aggregate_id: str,
        *,
        cut: Cut = NOW,
        after_version: int = 0,
        only: HistoryFilter = EVERYTHING,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """Every version with when, who, why and what changed, in bounded memory. Raises NotFound, CutOutOfRange."""
        _check_kind(kind)
        await self.platform.queries.require(kind, aggregate_id, cut)
        async for entry in self.platform.history.of(
            kind,
            aggregate_id,
            cut=cut,
            after_version=after_version,
            only=only,
            newest_first=newest_first,
            limit=limit,
        ):
            yield entry

    async def version(self, kind: str, aggregate_id: str) -> int:
        """The last version that there is; 0 where there is no such thing."""
        _check_kind(kind)
        return await self.platform.log.stream_version(f"{kind}-{aggregate_id}")

    async def diff(self, kind: str, aggregate_id: str, begin: Cut, end: Cut = NOW) -> Difference:
        """One aggregate at two cuts. Raises NotFound, CutOutOfRange."""
        _check_kind(kind)
        return await self.platform.differences.of(kind, aggregate_id, begin, end, now())

    def diff_everything(self, begin: Cut, end: Cut = NOW) -> AsyncIterator[Difference]:
        """All that changed between two cuts, by kind and id. Raises CutOutOfRange, InvalidInput."""
        return self.platform.differences.everywhere(begin, end, now())

    async def timeline(self, kind: str, aggregate_id: str, cut: Cut = NOW) -> Timeline:
        """Tasks over time: a workflow's, one, or an agent's. Raises NotFound, CutOutOfRange, InvalidInput."""
        return await self.platform.timelines.of(kind, aggregate_id, cut, now())

    async def trace(
        self, correlation_id: str, begin: Cut = START, end: Cut = NOW, *, looked: Looked = unheard
    ) -> Trace:
        """All that one request caused, as a tree. `looked` hears through how much of the log it has looked.

        Raises NotFound; InvalidInput where it is too much at once.
        """
        return await self.platform.tracer.trace(correlation_id, begin, end, now(), looked)

    async def export(
        self, format: str, *, workflow_id: str | None = None, since: datetime | None = None, cut: Cut = NOW
    ) -> AsyncIterator[bytes]:
        """What was recorded, as `jsonl`, `ocel`, `xes` or `csv`, in pieces to be written one after the other.

        Raises InvalidInput, NotFound, CutOutOfRange.
        """
        chosen = await begin_export(self.platform, format, workflow_id=workflow_id, since=since, cut=cut)
        async for piece in chosen.pieces():
            yield piece

    async def get_workflow_history(self, workflow_id: str) -> list[HistoryEntry]:
        return [entry async for entry in self.history("workflow", workflow_id)]

    async def pending_tasks(self, *, pool_id: str | None = None, limit: int = 100) -> list[Document]:
        """What is to be done next in running workflows: by the weight of its priority in a pool, then by age."""
        weights: Mapping[Priority, int] = DEFAULT_WEIGHTS
        if pool_id is not None:
            weights = (await self.state("pool", pool_id))["allocation_policies"]["priority_weights"]
        return list((await self.lists.pending_tasks(weights=weights, limit=limit)).items)

    @property
    def lists(self) -> Lists:
        """Workflows, tasks, agents, pools and reservations by pages, and the task board. See `projections/lists/`."""
        silence = timedelta(seconds=self.platform.settings.heartbeat_timeout)
        return Lists(self.platform.read_models, self.platform.presence, now, silence=silence)

    async def rates(
        self, per: str, begin: datetime | None = None, end: datetime | None = None, *, agent_id: str | None = None
    ) -> list[Rate]:
        """What ended in each `minute`, `hour` or `day` up to now, or from and to a moment; of all or of one agent.

        Raises InvalidInput.
        """
        zone = ZoneInfo(self.platform.settings.time_zone)
        return await RateHistory(self.platform.read_models, now, zone).rates(per, begin, end, agent_id=agent_id)

    async def catch_up(self, position: int | None = None, timeout: float = 30.0, *, everything: bool = False) -> bool:
        """Bring the states up to a position (the log's end if none is named); false if there's no time.

        `everything`: all projections, and not only what documents are read from.
        """
        target = position if position is not None else (await self.platform.log.head()).position
        try:
            for runner in self.platform.runners if everything else (self.platform.projector,):
                await runner.catch_up(target, timeout)
        except NotProjectedYet:
            return False
        return True


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {kind}; the kinds are {', '.join(KINDS)}.", kind=kind)


def _invalid(error: InvalidInput) -> Answer:
    """As much of what was asked as could be read stands in the answer."""
    command_id, name = error.facts.pop("command_id", None), error.facts.get("type")
    problem = Problem(error.code, error.message, error.facts)
    return Answer(
        UUID(command_id) if isinstance(command_id, str) else None,
        name if isinstance(name, str) else None,
        "invalid",
        problem=problem,
    )


def _rollback_data(
    workflow_id: str,
    to_version: int | None,
    to_time: datetime | None,
    to_position: int | None,
    reason: str,
    operator: str,
    workflow_only: bool,
) -> dict[str, object]:
    return {
        "workflow_id": workflow_id,
        "to_version": to_version,
        "to_time": to_time,
        "to_position": to_position,
        "reason": reason,
        "operator": operator,
        "workflow_only": workflow_only,
    }


@asynccontextmanager
async def open_state_manager(
    settings: Settings | None = None,
    *,
    default_actor: str | None = None,
    say: Say = quiet,
    create: bool = True,
    warm: bool = False,
) -> AsyncIterator[StateManager]:
    """A StateManager with everything it needs, servers included, for as long as the block runs.

    Without `create`, for those who only ask: raises NotFound for a tenant that is not there. `warm` is for programs
    that run long and ask for `cached` states: those that are asked for most are loaded in the background.
    """
    async with open_platform(settings or load_settings(), say, create=create, warm=warm) as platform:
        yield StateManager(platform, default_actor=default_actor)
