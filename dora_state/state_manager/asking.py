"""Questions of a StateManager about what is now, or was at one moment."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

from domain.errors import InvalidInput
from domain.log import NOW, Cut
from domain.pool import DEFAULT_WEIGHTS
from domain.system import SYSTEM_ID
from domain.text import shown
from domain.values import Priority
from dora_state.editing import EditableState
from dora_state.health_status import HealthStatus
from dora_state.naming import check_named, cut_of
from dora_state.platform import Platform, now
from dora_state.transactions import read_editable
from projections.documents.values import Document
from projections.errors import NotProjectedYet
from projections.lists import Lists
from projections.rates import Rate, RateHistory
from projections.reading import CONSISTENCIES, Consistency


class Asked(TypedDict, total=False):
    """How fresh a state is to be; `StateManager.state` explains it."""

    consistency: Consistency
    min_position: int
    patience: float


class Asking:
    """States, lists and rates. Times without a zone are UTC. All raise InvalidInput for what can't be an id."""

    platform: Platform

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
        check_named(kind, aggregate_id)
        if consistency not in CONSISTENCIES:
            asked, known = shown(consistency), ", ".join(CONSISTENCIES)
            raise InvalidInput(f"There is no consistency {asked}; there are {known}.", consistency=asked)
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

    async def _state(
        self, kind: str, aggregate_id: str, version: int | None, at_time: datetime | None, asked: Asked
    ) -> EditableState:
        """The same, to be changed and handed back as it is: by its version, what was read is checked then."""
        found = await self.state(kind, aggregate_id, cut=cut_of(version, at_time), **asked)
        is_shared = asked.get("consistency") == "cached"
        return EditableState.of_shared(kind, found) if is_shared else EditableState(kind, found)

    async def get_workflow_state(
        self, workflow_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> EditableState:
        return await self._state("workflow", workflow_id, version, at_time, asked)

    async def get_task_state(
        self, task_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> EditableState:
        return await self._state("task", task_id, version, at_time, asked)

    async def get_agent_state(
        self, agent_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> EditableState:
        return await self._state("agent", agent_id, version, at_time, asked)

    async def get_pool_state(
        self, pool_id: str, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> EditableState:
        return await self._state("pool", pool_id, version, at_time, asked)

    async def get_system_state(
        self, *, version: int | None = None, at_time: datetime | None = None, **asked: Unpack[Asked]
    ) -> EditableState:
        return await self._state("system", SYSTEM_ID, version, at_time, asked)

    query = state

    async def get_workflow(
        self, workflow_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        """The state itself, folded from the log: to be changed, and handed back to `update_workflow`."""
        return await read_editable(self.platform, "workflow", workflow_id, cut_of(version, at_time))

    async def get_task(
        self, task_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        return await read_editable(self.platform, "task", task_id, cut_of(version, at_time))

    async def get_agent(
        self, agent_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        return await read_editable(self.platform, "agent", agent_id, cut_of(version, at_time))

    async def get_pool(
        self, pool_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        return await read_editable(self.platform, "pool", pool_id, cut_of(version, at_time))

    async def get_system(self, *, version: int | None = None, at_time: datetime | None = None) -> EditableState:
        return await read_editable(self.platform, "system", SYSTEM_ID, cut_of(version, at_time))

    async def get_workflow_with_version(self, workflow_id: str) -> tuple[EditableState, int]:
        """For `update_workflow(workflow, expected_version=version)`."""
        return _with_version(await self.get_workflow(workflow_id))

    async def get_task_with_version(self, task_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_task(task_id))

    async def get_agent_with_version(self, agent_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_agent(agent_id))

    async def get_pool_with_version(self, pool_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_pool(pool_id))

    async def get_system_with_version(self) -> tuple[EditableState, int]:
        return _with_version(await self.get_system())

    async def health_check(self) -> HealthStatus:
        """SPEC's five checks and ours: `found.checks["database"]["status"]`. Never raises for a server that is away."""
        return (await self.platform.health.check()).told

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
        questions = self.platform.questions
        return Lists(self.platform.shown, self.platform.presence, now, silence=silence, questions=questions)

    async def rates(
        self, per: str, begin: datetime | None = None, end: datetime | None = None, *, agent_id: str | None = None
    ) -> list[Rate]:
        """What ended in each `minute`, `hour` or `day` up to now, or from and to a moment; of all or of one agent.

        Raises InvalidInput.
        """
        zone = ZoneInfo(self.platform.settings.time_zone)
        history = RateHistory(self.platform.shown, now, zone, questions=self.platform.questions)
        return await history.rates(per, begin, end, agent_id=agent_id)

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


def _with_version(state: EditableState) -> tuple[EditableState, int]:
    return state, state["stream_version"]
