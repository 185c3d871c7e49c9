"""The demo's assessment, whole, by a client that knows nothing but the OpenAPI document; all that it is answered is
described to the last key.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest_asyncio

from dora_state.demo.assessment import Assessment
from dora_state.demo.cast import AGENTS, ANALYZER_1, APPROVAL, ICT_RISK, POOL_ID, REPORT, SCHEDULER, TASKS
from dora_state.demo.scenario import RollBack, Step, story
from tests.support.described import Described, Generated
from tests.support.http import Asked, asked_directly

KINDS = ("Workflow", "Task", "Agent", "Pool", "System")
LISTS = ("Workflows", "Tasks", "Overdue", "Stalled", "Pending", "Agents", "Pools", "Reservations")


OTHERS = {"getCommand", "followEvents", "takeLock", "renewLock", "releaseLock", "listLocks", "commitTransaction"}
"""Operations that are no part of the assessment, or go on for ever."""


@pytest_asyncio.fixture
async def asked(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Asked]:
    async with asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


async def _nothing() -> None: ...


class Player:
    """Plays the story over HTTP, and pauses at each marked moment.

    `versions`: the workflow's at those; `refused`: by which codes; `last`: the last answer about the workflow.
    """

    def __init__(self, client: Generated, run: Assessment, pause: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._pause = pause
        self.client = client
        self.run = run
        self.versions: dict[str, int] = {}
        self.refused: list[str] = []
        self.last: dict[str, Any] = {}

    async def play(self) -> None:
        for step in story(self.run):
            await (self._roll_back(step) if isinstance(step, RollBack) else self._step(step))

    async def _step(self, step: Step) -> None:
        if not step.submissions:
            return
        answers = await self.client("submitCommands", list(step.submissions))
        for submission, answer in zip(step.submissions, answers, strict=True):
            if answer["problem"] is not None:
                assert (submission, answer["problem"]["code"]) == (step.submissions[-1], step.refused)
                self.refused.append(answer["problem"]["code"])
            elif (version := answer["versions"].get(f"workflow-{self.run.workflow_id}")) is not None:
                self.versions[step.mark or ""] = version
                self.last = answer
        if step.mark is not None:
            await self._pause()

    async def _roll_back(self, step: RollBack) -> None:
        where = {"to_version": self.versions[step.to]}
        preview = await self.client("rollBackWorkflow", {**where, "dry_run": True}, id=self.run.workflow_id)
        assert (preview["problem"], preview["after"]["metrics"]["completed_tasks"]) == (None, 5)
        body = {**where, "reason": step.reason, "operator": step.operator}
        answer = await self.client("rollBackWorkflow", body, id=self.run.workflow_id, idempotency_key=str(uuid4()))
        assert answer["outcome"] == "accepted"


async def ask_for_a_kind(client: Generated, run: Assessment, kind: str) -> None:
    ids = {"Workflow": run.workflow_id, "Task": run.task_id(ICT_RISK), "Agent": ANALYZER_1, "Pool": POOL_ID}
    about = {"id": ids[kind]} if kind in ids else {}
    for consistency in ("projected", "cached", "live"):
        await client(f"get{kind}", **about, consistency=consistency)
    assert (await client(f"get{kind}", **about, version=1))["stream_version"] == 1
    assert (await client(f"get{kind}History", **about))["items"]
    assert (await client(f"get{kind}Diff", **about, begin="v1"))["before"]["version"] == 1
    assert (await client(f"get{kind}Events", **about))[0]["version"] == 1
    await client(f"reconstruct{kind}", **about)
    if f"get{kind}Timeline" in client.ids:
        assert (await client(f"get{kind}Timeline", **about))["rows"]


async def ask_for_lists(client: Generated) -> None:
    found = {name: len((await client(f"list{name}"))["items"]) for name in LISTS}
    assert (found["Workflows"], found["Tasks"], found["Agents"], found["Pools"]) == (1, len(TASKS), len(AGENTS), 1)


async def test_a_client_made_of_the_description_alone_runs_the_assessment(asked: Asked) -> None:
    client = Generated(Described((await asked.get("/openapi.json")).json()), asked.client)
    run = Assessment(datetime.now(UTC))
    player = Player(client, run)
    await player.play()
    assert player.refused == ["task_blocked", "task_blocked"]

    await asked.catch_up()
    workflow = await client("getWorkflow", id=run.workflow_id, min_position=player.last["position"])
    assert (workflow["state"], workflow["metrics"]["completed_tasks"]) == ("completed", len(TASKS))
    assert APPROVAL in workflow["dependencies"]["satisfied"]
    report = await client("getTask", id=run.task_id(REPORT))
    assert (report["state"], report["outputs"]["pages"]) == ("completed", 38)
    assert (await client("getCommand", id=player.last["command_id"]))["versions"] == player.last["versions"]
    history = await client("getWorkflowHistory", id=run.workflow_id, type=["WorkflowRolledBack"])
    assert [one["reason"] for one in history["items"]] == ["Risk was scored with last year's weights"]


async def test_all_that_can_be_asked_of_it_is_described_to_the_last_key(asked: Asked) -> None:
    client = Generated(Described((await asked.get("/openapi.json")).json()), asked.client)
    run = Assessment(datetime.now(UTC))

    async def ask() -> None:
        await asked.catch_up()
        await ask_for_lists(client)
        for kind in KINDS:
            await ask_for_a_kind(client, run, kind)

    await Player(client, run, ask).play()
    await ask()
    assert (await client("getBoard", by="agent"))["counts"] == {"completed": len(TASKS)}
    assert sum(one["workflows_completed"] for one in (await client("getRates"))["items"]) == 1
    assert (await client("getTrace", correlation_id=run.workflow_id))["commands"]
    assert (await client("getAudit", actor=SCHEDULER))["items"]
    assert len((await client("listActors"))["items"]) > len(AGENTS)
    assert len(await client("getChanges", begin="start")) > len(TASKS)
    assert (await client("exportLog", format="jsonl"))[0]["position"] == 1
    assert (await client("getHealth"))["checks"]
    assert "dora_state_commands_total" in await client("getMetrics")
    assert (await client("getLive"))["status"] == "alive"
    assert (await client("getReady"))["status"] == "ready"
    assert (await client("explainProblem", code="conflict"))["status"] == 412
    assert client.ids - client.used == OTHERS
