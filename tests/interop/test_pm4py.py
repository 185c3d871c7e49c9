"""Our exports as pm4py reads them, a process mining library of others: the same cases, events, objects and relations.

Not part of `make test`: pm4py is large, and `make interop` gives it an environment of its own.
"""

import asyncio
import gzip
import importlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from domain.log import NOW, Cut, RecordedEvent
from dora_state import open_state_manager
from infrastructure.migrations import drop_tenant
from tests.support.importing import Tenant
from tests.support.log import decode

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1_200)]
pm4py: Any = importlib.import_module("pm4py")

ROOT = Path(__file__).resolve().parents[2]
LOG = Path(os.environ.get("DORA_STATE_TEST_XES") or ROOT.parent / "shared" / "data" / "bpic2012.xes.gz")
TRACES = 300
"""Of the bank's log, its first ones: enough to have everything in it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def _tenant(files: Path, database_url: str, redis_url: str) -> Tenant:
    return Tenant(f"t_{uuid4().hex[:12]}", files / "home", database_url, redis_url)


async def _export(tenant: Tenant, files: Path, name: str, cut: Cut = NOW) -> list[RecordedEvent]:
    async with open_state_manager(tenant.settings) as manager:
        for format, suffix in (("xes", "xes"), ("ocel", "jsonocel"), ("csv", "csv")):
            with (files / f"{name}.{suffix}").open("wb") as file:
                async for piece in manager.export(format, cut=cut):
                    file.write(piece)
        return await manager.platform.log.read_log(after_position=0, limit=10_000_000)


@pytest.fixture(scope="module")
def assessment(files: Path, database_url: str, redis_url: str) -> Iterator[list[RecordedEvent]]:
    """The example of the README."""
    tenant = _tenant(files, database_url, redis_url)

    async def fill() -> list[RecordedEvent]:
        async with open_state_manager(tenant.settings) as manager:
            lines = (ROOT / "docs" / "examples" / "assessment.jsonl").read_text().splitlines()
            await manager.submit_many({"actor": "tester", **orjson.loads(line)} for line in lines)
        return await _export(tenant, files, "assessment")

    yield asyncio.run(fill())
    asyncio.run(drop_tenant(database_url, tenant.name))


@pytest.fixture(scope="module")
def bank(files: Path, database_url: str, redis_url: str) -> Iterator[list[RecordedEvent]]:
    """The first cases of the bank's log, imported."""
    if not LOG.exists():
        pytest.skip("the bank's log is not here")
    tenant = _tenant(files, database_url, redis_url)
    raw = files / "raw.xes"
    text = gzip.decompress(LOG.read_bytes()).decode()
    raw.write_text("</trace>".join(text.split("</trace>")[:TRACES]) + "</trace></log>")

    async def fill() -> list[RecordedEvent]:
        await tenant.imports(raw)
        return await _export(tenant, files, "bank")

    yield asyncio.run(fill())
    asyncio.run(drop_tenant(database_url, tenant.name))


def test_a_case_of_the_bank_is_the_same_after_an_import_and_an_export(files: Path, bank: list[RecordedEvent]) -> None:
    """Each step that the raw log has of a work item is in ours: same case, activity, transition, time and resource."""

    def steps(path: Path) -> Counter[tuple[object, ...]]:
        log = pm4py.read_xes(str(path))
        told = log[log["lifecycle:transition"].str.lower().isin(["schedule", "start", "complete"])]
        return Counter(
            (case, activity, transition.lower(), time.isoformat())
            for case, activity, transition, time in zip(
                told["case:concept:name"],
                told["concept:name"],
                told["lifecycle:transition"],
                told["time:timestamp"],
                strict=True,
            )
        )

    raw, ours = steps(files / "raw.xes"), steps(files / "bank.xes")
    assert raw.total() > 1_000
    assert not raw - ours
    # What the log did not say and the import had to infer besides.
    assert {transition for _, _, transition, _ in ours - raw} <= {"schedule", "start"}


def test_attributes_of_cases_keep_their_types(files: Path, bank: list[RecordedEvent]) -> None:
    raw, ours = (pm4py.read_xes(str(files / name)) for name in ("raw.xes", "bank.xes"))

    def amounts(log: Any) -> dict[str, float]:
        return {
            case: float(amount) for case, amount in zip(log["case:concept:name"], log["case:AMOUNT_REQ"], strict=True)
        }

    assert amounts(raw) == amounts(ours)


@pytest.mark.parametrize("name", ["assessment", "bank"])
def test_models_are_found_in_xes_and_csv_alike(
    files: Path, name: str, assessment: list[RecordedEvent], bank: list[RecordedEvent]
) -> None:
    log = pm4py.read_xes(str(files / f"{name}.xes"))
    tasks = log[log["lifecycle:transition"] == "complete"]
    pandas = importlib.import_module("pandas")
    table = pandas.read_csv(files / f"{name}.csv")
    table = pm4py.format_dataframe(table, case_id="workflow_id", activity_key="activity", timestamp_key="recorded_at")
    done = table[table["event"] == "TaskCompleted"]
    assert pm4py.get_event_attribute_values(tasks, "concept:name") == pm4py.get_event_attribute_values(
        done, "concept:name"
    )
    graphs = [pm4py.discover_dfg(one) for one in (tasks, done)]
    assert graphs[0] == graphs[1]
    net = pm4py.discover_petri_net_inductive(tasks)
    assert pm4py.fitness_token_based_replay(tasks, *net)["log_fitness"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["assessment", "bank"])
def test_ocel_has_all_objects_events_relations_and_changes(
    files: Path, name: str, assessment: list[RecordedEvent], bank: list[RecordedEvent]
) -> None:
    events = assessment if name == "assessment" else bank
    ocel = pm4py.read_ocel2_json(str(files / f"{name}.jsonocel"))
    assert ocel.is_ocel20()
    assert Counter(ocel.events["ocel:activity"]) == Counter(event.type for event in events)
    streams = {event.stream_id for event in events}
    assert set(ocel.objects["ocel:oid"]) == streams
    assert Counter(ocel.objects["ocel:type"]) == Counter(stream.partition("-")[0] for stream in streams)
    changed = ocel.relations[ocel.relations["ocel:qualifier"] == "changed"]
    assert Counter(changed["ocel:oid"]) == Counter(event.stream_id for event in events)

    created = [decode(event) for event in events if event.type == "TaskCreated"]
    parts = ocel.o2o[ocel.o2o["ocel:qualifier"] == "part of"]
    assert set(zip(parts["ocel:oid"], parts["ocel:oid_2"], strict=True)) == {
        (f"task-{one.task_id}", f"workflow-{one.workflow_id}") for one in created
    }
    states = ocel.object_changes[ocel.object_changes["ocel:field"] == "state"]
    assert len(states) > 0
    flat = pm4py.ocel_flattening(ocel, "task")
    assert set(flat["case:concept:name"]) == {stream for stream in streams if stream.startswith("task-")}
    assert pm4py.discover_oc_petri_net(ocel)["object_types"] >= {"workflow", "task", "agent"}
