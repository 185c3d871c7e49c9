"""States that were changed, handed back by their kind: in process and over HTTP, at once or within a transaction."""

from abc import ABC, abstractmethod
from typing import Generic, TypedDict, TypeVar, Unpack

from domain.errors import InvalidInput
from dora_state.states import EditableState, require_editable

A = TypeVar("A")


class How(TypedDict, total=False):
    """`expected_version`: the one at which it must be; that at which it was read, if none is given."""

    expected_version: int | None
    actor: str | None
    reason: str | None


class HandingBack(ABC, Generic[A]):
    """The change becomes commands. Each gives the answer, or None where nothing is changed.

    Raises OptimisticLockException where it was changed since it was read (or is not at `expected_version`),
    CommandRefused, and InvalidInput for what no command can say, and for the state of another kind.
    """

    @abstractmethod
    async def _hand_back(self, state: EditableState, **how: Unpack[How]) -> A | None: ...

    async def update_workflow(self, workflow: EditableState, **how: Unpack[How]) -> A | None:
        return await self._hand_back(of_kind("workflow", workflow), **how)

    async def update_task(self, task: EditableState, **how: Unpack[How]) -> A | None:
        return await self._hand_back(of_kind("task", task), **how)

    async def update_agent(self, agent: EditableState, **how: Unpack[How]) -> A | None:
        return await self._hand_back(of_kind("agent", agent), **how)

    async def update_pool(self, pool: EditableState, **how: Unpack[How]) -> A | None:
        return await self._hand_back(of_kind("pool", pool), **how)

    async def update_system(self, system: EditableState, **how: Unpack[How]) -> A | None:
        return await self._hand_back(of_kind("system", system), **how)


class TakingBack(ABC):
    """Within a transaction: all of it is decided at the commit."""

    @abstractmethod
    async def update(self, state: EditableState, expected_version: int | None = None) -> None: ...

    async def update_workflow(self, workflow: EditableState, expected_version: int | None = None) -> None:
        await self.update(of_kind("workflow", workflow), expected_version)

    async def update_task(self, task: EditableState, expected_version: int | None = None) -> None:
        await self.update(of_kind("task", task), expected_version)

    async def update_agent(self, agent: EditableState, expected_version: int | None = None) -> None:
        await self.update(of_kind("agent", agent), expected_version)

    async def update_pool(self, pool: EditableState, expected_version: int | None = None) -> None:
        await self.update(of_kind("pool", pool), expected_version)

    async def update_system(self, system: EditableState, expected_version: int | None = None) -> None:
        await self.update(of_kind("system", system), expected_version)


def of_kind(kind: str, state: EditableState) -> EditableState:
    """Raises InvalidInput for what is no state of this kind."""
    require_editable(state)
    if state.kind != kind:
        raise InvalidInput(
            f"update_{kind} takes the state of a {kind}, and this is that of {state.kind} {state.id}: hand it back to"
            f" update_{state.kind}.",
            kind=state.kind,
        )
    return state


def require_same(handed: EditableState, state: EditableState) -> None:
    """Of one that is handed back again in a transaction: what another copy says would be lost, or said twice.

    Raises InvalidInput.
    """
    if handed is not state:
        raise InvalidInput(
            f"Another copy of the state of {state.kind} {state.id} was handed back in this transaction already: change"
            " that one further, and hand it back again.",
            kind=state.kind,
            id=state.id,
        )
