"""Whatever text a Python program hands in, by whichever method: what can't be is refused in one sentence."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from commands.envelope import Answer
from domain.errors import DoraStateError, InvalidInput, NotFound
from domain.log import Cut
from domain.values import MAX_TEXT_LENGTH
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.states import EditableState
from dora_state.transactions import Transaction
from projections.errors import InvalidPage
from projections.history import HistoryFilter
from projections.lists import Lists
from projections.pages import decode_mark, encode_mark
from projections.reading import CONSISTENCIES
from tests.support.faces import Place, faces, places, with_text
from tests.support.tenants import lent

in_one_loop = pytest.mark.asyncio(loop_scope="module")
TEXTS = {
    "NUL": "a\0b",
    "half a character": "\udcff",
    "very long": "x" * (2 * MAX_TEXT_LENGTH),
}
FACES = faces(StateManager)
PLACES = [place for face in FACES for place in places(face)]
OF_TASKS = {"workflow_id": "w", "agent_id": "a", "definition_id": "d", "priority": "high", "mark": None}
HOW = {"actor": "me", "reason": "because"}
OF_KINDS = [("workflow", "w"), ("task", "t"), ("agent", "a"), ("pool", "p")]
STATES = [{"consistency": one} for one in CONSISTENCIES]

WELL: dict[str, list[dict[str, Any]]] = {
    "StateManager.diff": [{"kind": "workflow", "aggregate_id": "w", "begin": Cut(version=1)}],
    "StateManager.events": [{"entity_type": "workflow", "entity_id": "w"}],
    "StateManager.exclusive_lock": [{"name": "workflow:w", "holder": "me", "timeout": 0}],
    "StateManager.export": [{"format": "jsonl", "workflow_id": "w"}],
    "StateManager.follow": [{"kinds": ["workflow"], "types": ["WorkflowCreated"]}],
    "StateManager.history": [
        {"kind": "workflow", "aggregate_id": "w", "only": HistoryFilter(types=frozenset({"WorkflowCreated"}))}
    ],
    "StateManager.parse": [{"submission": {"type": "ScheduleTask", "data": {"task_id": "v"}}}],
    "StateManager.pending_tasks": [{"pool_id": "p"}],
    "StateManager.preview_rollback": [{"workflow_id": "w", "to_version": 2, "reason": "why", "operator": "me"}],
    "StateManager.rates": [{"per": "hour", "agent_id": "a"}],
    "StateManager.reconstruct_state_from_events": [{"entity_type": "workflow", "entity_id": "w"}],
    "StateManager.rollback_workflow": [{"workflow_id": "r", "to_version": 1, "reason": "why", "operator": "me"}],
    "StateManager.state": [
        *({"kind": kind, "aggregate_id": id, **state} for kind, id in OF_KINDS for state in STATES),
        {"kind": "workflow", "aggregate_id": "w", "live": True},
        {"kind": "workflow", "aggregate_id": "w", "cut": Cut(version=1)},
    ],
    "StateManager.submit": [{"submission": {"type": "ScheduleTask", "data": {"task_id": "v"}}}],
    "StateManager.submit_many": [{"submissions": [{"type": "ScheduleTask", "data": {"task_id": "v"}}]}],
    "StateManager.timeline": [{"kind": kind, "aggregate_id": id} for kind, id in OF_KINDS[:3]],
    "StateManager.trace": [{"correlation_id": "talk"}],
    "StateManager.transaction": [{**HOW, "correlation_id": "talk"}],
    "StateManager.version": [{"kind": "workflow", "aggregate_id": "w"}],
    **{f"StateManager.get_{kind}": [{f"{kind}_id": id}] for kind, id in OF_KINDS},
    **{f"StateManager.get_{kind}_with_version": [{f"{kind}_id": id}] for kind, id in OF_KINDS},
    **{f"StateManager.get_{kind}_history": [{f"{kind}_id": id}] for kind, id in OF_KINDS},
    **{f"StateManager.get_{kind}_state": [{f"{kind}_id": id, **one} for one in STATES] for kind, id in OF_KINDS},
    "StateManager.get_system_state": STATES,
    **{f"StateManager.update_{kind}": [{kind: (kind, id), **HOW}] for kind, id in OF_KINDS},
    "StateManager.update_system": [{"system": ("system", ""), **HOW}],
    "Transaction.expect": [{"stream_id": "pool-p", "version": 1}],
    "Transaction.get": [{"kind": kind, "aggregate_id": id} for kind, id in OF_KINDS],
    **{f"Transaction.get_{kind}": [{f"{kind}_id": id}] for kind, id in OF_KINDS},
    "Transaction.set_task_outputs": [{"task_id": "t", "outputs": {"score": 1}}],
    "Transaction.submit": [{"type": "ScheduleTask", "data": {"task_id": "v"}}],
    "Transaction.update": [{"state": (kind, id)} for kind, id in OF_KINDS],
    **{f"Transaction.update_{kind}": [{kind: (kind, id)}] for kind, id in OF_KINDS},
    "Transaction.update_system": [{"system": ("system", "")}],
    "Transaction.update_task_state": [
        {"task_id": "v", "state": "assigned", "agent_id": "a", "reason": "able"},
        {"task_id": "u", "state": "cancelled", "reason": "late"},
    ],
    "Lists.agents": [
        {"state": "healthy", "agent_type": "t", "capability": "c", "node_id": "n", "presence": "unheard", "mark": None}
    ],
    "Lists.board": [{"by": "workflow", "state": "running", **OF_TASKS}],
    "Lists.heard_since": [{"agent_id": "a", "since": datetime.now(UTC)}],
    "Lists.overdue": [{"state": "running", **OF_TASKS}],
    "Lists.pending_tasks": [{"weights": {"high": 5}, "mark": None}],
    "Lists.pools": [{"mark": None}],
    "Lists.reservations": [{"pool_id": "p", "agent_id": "a", "task_id": "t", "mark": None}],
    "Lists.stalled_tasks": [{"quiet_for": timedelta(hours=1), "state": "running", **OF_TASKS}],
    "Lists.tasks": [{"sort": "created", "state": "running", **OF_TASKS}],
    "Lists.workflows": [
        *({"sort": sort, "state": "running", "priority": "high", "mark": None} for sort in ("created", "id")),
        {"definition_id": "d", "version": "1", "prefix": "w", "mark": None},
    ],
}
"""Each method that takes text, as it is called well, with all of its texts; a state is named by its kind and its id."""
OUTPUTS = ("Transaction.set_task_outputs", "outputs")
"""They may say something long."""
CASES = [
    pytest.param(place, text, id=f"{place.name}({place.parameter}), {what}")
    for place in PLACES
    for what, text in TEXTS.items()
    if (place.name, place.parameter) != OUTPUTS or what != "very long"
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manager(database_url: str, redis_url: str) -> AsyncIterator[StateManager]:
    async with lent(database_url) as tenant:
        settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
        async with open_state_manager(settings, default_actor="test") as manager:
            async with manager.transaction(correlation_id="talk") as txn:
                await txn.submit("ConfigureSystem", environment="test")
                await txn.submit("CreatePool", pool_id="p", total={"cpu": "4"})
                await txn.submit("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=2, state="healthy")
                for workflow_id in ("w", "r"):
                    await txn.submit("CreateWorkflow", workflow_id=workflow_id, definition_id="d")
                await txn.submit("StartWorkflow", workflow_id="w")
                for task_id in ("t", "u", "v"):
                    await txn.submit("AddTask", workflow_id="w", task_id=task_id, definition_id="d")
                for task_id in ("t", "v"):
                    await txn.submit("ScheduleTask", task_id=task_id)
                await txn.update_task_state("t", "assigned", agent_id="a")
                await txn.update_task_state("t", "running")
            await manager.catch_up(everything=True)
            yield manager


class StateOf:
    """A state that is to be read, and given a key that it can't have."""

    def __init__(self, kind: str, id: str, text: str | None = None) -> None:
        self.kind, self.id, self.text = kind, id, text

    async def read(self, source: Any) -> EditableState:
        get = getattr(source, f"get_{self.kind}")
        state: EditableState = await (get() if self.kind == "system" else get(self.id))
        if self.text is not None:
            state[self.text] = 1
        return state


async def call(manager: StateManager, place: Place, given: dict[str, Any]) -> None:
    """Waits for whatever it gives; raises also what is only answered."""
    if place.face is Transaction:
        async with manager.transaction() as transaction:
            await _call(transaction, place.method, given)
    else:
        await _call(manager.lists if place.face is Lists else manager, place.method, given)


async def _call(source: Any, method: str, given: dict[str, Any]) -> None:
    ready: dict[str, Any] = {
        name: await one.read(source) if isinstance(one, StateOf) else one for name, one in given.items()
    }
    if isinstance(source, Transaction) and method == "submit":
        await source.submit(ready["type"], **ready["data"])
        return
    found = getattr(source, method)(**ready)
    if hasattr(found, "__aenter__"):
        async with found as entered:
            if isinstance(entered, Transaction):
                await entered.submit("ScheduleTask", task_id="v")
    elif isinstance(found, AsyncIterator):
        async with aclosing(found) as items, asyncio.timeout(30):  # type: ignore[type-var]  # a generator
            await anext(items)
    elif isinstance(found, Awaitable):
        answers = await found
        for answer in answers if isinstance(answers, list) else [answers]:
            if isinstance(answer, Answer) and answer.outcome == "invalid":
                assert answer.problem is not None
                assert answer.problem.code == InvalidInput.code
                raise InvalidInput(answer.problem.message, **answer.problem.facts)


def told(call: dict[str, Any]) -> dict[str, Any]:
    """A call with states in the place of their names."""
    return {name: StateOf(*one) if isinstance(one, tuple) else one for name, one in call.items()}


def spoilt(place: Place, text: str) -> list[dict[str, Any]]:
    """Each of the calls in which this parameter is given, with the text within it."""
    calls = []
    for well in WELL[place.name]:
        if place.parameter not in well:
            continue
        if place.shape is EditableState:
            kind, id = well[place.parameter]
            values: list[Any] = [StateOf(kind, id, text)]
        elif place.is_keywords:
            values = [{**well[place.parameter], "task_id": text}, {**well[place.parameter], text: 1}]
        else:
            values = list(with_text(place.shape, text))
        calls += [{**told(well), place.parameter: value} for value in values]
    return calls


def test_every_method_that_takes_text_is_tried_here() -> None:
    assert {face.__name__ for face in FACES} == {"StateManager", "Transaction", "Lists"}
    missing = {
        f"{place.name}({place.parameter})"
        for place in PLACES
        if not any(place.parameter in call for call in WELL.get(place.name, []))
    }
    assert not missing, "tell in WELL how these are called well"
    assert {place.name for place in PLACES} == WELL.keys(), "these take no text any more"
    assert len(PLACES) > 100


@in_one_loop
@pytest.mark.parametrize(("place", "text"), CASES)
async def test_what_is_no_text_is_refused_wherever_it_is_handed_in(
    manager: StateManager, place: Place, text: str
) -> None:
    calls = spoilt(place, text)
    assert calls, "tell in WELL how it is called well"
    for given in calls:
        with pytest.raises(DoraStateError) as refused:
            await call(manager, place, given)
        require_clear(refused.value)


def require_clear(error: DoraStateError) -> None:
    """One sentence, not too long, that can be shown and logged."""
    assert isinstance(error, InvalidInput | InvalidPage | NotFound), repr(error)
    assert error.message.isprintable()
    assert error.message.endswith(".")
    assert len(error.message) < 1_500, "all types of events may be named"


@in_one_loop
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_default_actor_that_is_none_is_refused_wherever_it_is_used(manager: StateManager, text: str) -> None:
    async with open_state_manager(manager.platform.settings, default_actor=text) as nobody:
        answer = await nobody.submit({"type": "ScheduleTask", "data": {"task_id": "v"}})
        assert answer.problem is not None
        require_clear(InvalidInput(answer.problem.message))
        for entering in (nobody.transaction(), nobody.exclusive_lock("workflow:w", timeout=0)):
            with pytest.raises(InvalidInput) as refused:
                await entering.__aenter__()
            require_clear(refused.value)


@in_one_loop
@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-01-17T10:00:00", "infinity", "a\0b", "\udcff", ""],
)
async def test_a_mark_with_no_moment_in_it_is_refused(manager: StateManager, moment: str) -> None:
    page = await manager.lists.tasks(limit=1)
    asked, rank, _, id = decode_mark(page.next, 4) or []
    forged = json.dumps([asked, rank, moment, id]).encode()
    with pytest.raises(InvalidPage) as refused:
        await manager.lists.tasks(mark=base64.urlsafe_b64encode(forged).decode())
    require_clear(refused.value)


@in_one_loop
async def test_a_moment_of_a_mark_may_be_in_any_zone_that_can_be_written(manager: StateManager) -> None:
    page = await manager.lists.tasks(limit=1)
    asked, rank, _, id = decode_mark(page.next, 4) or []
    for zone in ("+00:00", "+23:59", "-23:59", "+00:00:30.5"):
        mark = encode_mark(asked, rank, f"2024-01-17T10:00:00{zone}", id)
        assert len((await manager.lists.tasks(mark=mark)).items) == 3


@in_one_loop
async def test_all_of_these_calls_are_good_without_it(manager: StateManager) -> None:
    for place in {place.name: place for place in PLACES}.values():
        for well in WELL[place.name]:
            await call(manager, place, told(well))
