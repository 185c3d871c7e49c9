"""Dead letters on PostgreSQL: shown with what they are, applied again in order, or let be; and by the command line."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain import task as tasks
from domain.log import CommandAppend, NewEvent
from dora_state import open_state_manager
from infrastructure import read_model_writer
from infrastructure.checking import PostgresKept
from projections.documents import RENDERINGS
from projections.errors import ReadModelsUnavailable
from projections.projector import Projector
from tests.integration.test_projector import require_equal, stored
from tests.support.broken_release import broken
from tests.support.command_line import CommandLine
from tests.support.importing import Tenant
from tests.support.postgres import connected
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_pool, full_stories

RENDERING = RENDERINGS["task"]


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


async def caught_up(side: ReadSide, batch_size: int = 3) -> Projector:
    projector = side.projector(batch_size=batch_size)
    await projector.catch_up(len(side.log.events), timeout=30)
    return projector


async def test_what_was_parked_is_applied_in_order_once_it_is_asked_for(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t1"), *full_stories(), *finished_task("t2"))
    with broken("completed", "running"):
        projector = await caught_up(side)
        (t1, t2, task_1) = sorted(await side.store.dead_letters(limit=10), key=lambda one: one.position)[:3]
        assert {t1.stream_id, t2.stream_id, task_1.stream_id} == {"task-t1", "task-t2", "task-task-1"}
        assert "no word for" in t1.error
        assert await side.store.ask("retry", ["task-t1"]) == ["task-t1"]
        await projector.run_once()
        assert [one.asked for one in await side.store.dead_letters(stream_id="task-t1", limit=1)] == [None]
    assert await side.store.ask("retry") == ["task-t1", "task-t2", "task-task-1"]
    await projector.run_once()
    assert await side.store.dead_letters(limit=10) == []
    await require_equal(side, attempts=3)
    # And what comes after finds it in order.
    side.log.tell(("task-t1", tasks.TaskOutputsRecorded(at=at(100), outputs={"late": 1})))
    await projector.catch_up(len(side.log.events))
    await projector.release()
    await require_equal(side, attempts=3)


async def test_counts_that_were_kept_meanwhile_are_forgotten(side: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_model_writer, "COUNTS_SPACING", 1)
    side.log.tell_all(*finished_task("t1"))
    with broken("completed"):
        projector = await caught_up(side)
    assert await side.rows("SELECT count(*) FROM kept_counts") != [(0,)]
    await side.store.ask("retry")
    await projector.run_once()
    await projector.release()
    position = (await side.rows("SELECT max(position) FROM kept_counts"))[0][0] or 0
    (completed,) = [one for one in side.log.events if one.type == "TaskCompleted"]
    assert position < completed.position


async def test_of_a_long_stream_some_is_applied_at_a_time(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t")[:-1])
    with broken("running"):
        projector = await caught_up(side)
        for step in range(10):
            side.log.tell(("task-t", tasks.TaskProgressed(at=at(30 + step), percentage=float(step))))
        await projector.catch_up(len(side.log.events))
    await side.store.ask("retry")
    await projector.run_once()
    await projector.release()
    await require_equal(side, attempts=0)


async def test_it_stays_parked_from_the_first_event_that_fails_again(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t"))
    bad = side.log.put("task-t", "TaskOutputsRecorded", b'{"at":"2024-01-17T10:00:00Z"}')
    side.log.tell(("task-t", tasks.TaskOutputsRecorded(at=at(100), outputs={"late": 1})))
    with broken("completed"):
        projector = await caught_up(side, 100)
    await side.store.ask("retry")
    await projector.run_once()
    (left,) = await side.store.dead_letters(limit=10)
    assert (left.version, left.events, left.asked) == (bad.version, 2, None)
    assert "TaskOutputsRecorded" in left.error
    assert '"state":"completed"' in (await stored(side))["task-t"]
    assert await side.rows("SELECT count(*) FROM attempts") == [(1,)]

    await side.store.ask("drop", ["task-t"])
    await projector.run_once()
    assert await side.store.dead_letters(limit=10) == []
    side.log.tell(("task-t", tasks.TaskOutputsRecorded(at=at(101), outputs={"later": 1})))
    await projector.catch_up(len(side.log.events))
    await projector.release()
    (again,) = await side.store.dead_letters(limit=10)
    assert again.version == bad.version + 2, "what can't be folded is parked once more"


async def test_what_is_counted_stays_exact_where_something_is_dropped(side: ReadSide) -> None:
    side.log.tell_all(*finished_task("t"), *full_pool("p"))
    with broken("completed"):
        projector = await caught_up(side, 100)
    side.log.put("pool-p", "ReservationReleased", b'{"at":"2024-01-17T10:00:00Z","reservation_id":"none"}')
    await projector.catch_up(len(side.log.events))
    assert len(await side.store.dead_letters(limit=10)) == 2
    await side.store.ask("drop")
    await projector.run_once()
    side.log.tell(("task-t", tasks.TaskOutputsRecorded(at=at(100), outputs={"late": 1})))
    await projector.catch_up(len(side.log.events))
    await projector.release()
    assert '"state":"completed"' in (await stored(side))["task-t"]
    kept = PostgresKept(side.pool)
    assert (await kept.miscounted(), await kept.misheld(), await kept.misrated()) == ([], [], [])


async def test_a_retry_that_is_cut_off_is_done_by_the_next(side: ReadSide, database_url: str, tenant: str) -> None:
    side.log.tell_all(*finished_task("t"))
    with broken("completed"):
        projector = await caught_up(side)
    await side.store.ask("retry")
    async with connected(database_url, tenant, None) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            (f"dora-state projector {tenant}",),
        )
    with pytest.raises(ReadModelsUnavailable):
        await projector.run_once()
    await side.pool.check()
    assert [one.asked for one in await side.store.dead_letters(limit=10)] == ["retry"]
    await projector.run_once()
    await projector.release()
    await require_equal(side, attempts=1)


async def test_the_command_line_names_shows_retries_and_drops(
    database_url: str, tenant: str, redis_url: str, tmp_path: Path
) -> None:
    dora_state = CommandLine(
        tmp_path, DORA_STATE_DATABASE_URL=database_url, DORA_STATE_REDIS_URL=redis_url, DORA_STATE_TENANT=tenant
    )
    for command in ("list", "retry --all"):
        ended = dora_state("dead-letters", *command.split())
        assert (ended.code, ended.out) == (0, "Every event was applied.\n")
    for wrong, code in (("show task-none", 3), ("retry task-none", 3), ("retry", 2), ("drop task-none --all", 2)):
        ended = dora_state("dead-letters", *wrong.split())
        assert ended.code == code, ended.err
        ended.one_sentence()

    async with open_state_manager(Tenant(tenant, tmp_path, database_url, redis_url).settings) as manager:
        bad = NewEvent(uuid4(), "task-t", "TaskScheduled", 1, b'{"at":"2024-01-17T10:00:00Z"}', b'{"actor":"x"}')
        await manager.platform.log.append([CommandAppend(uuid4(), {"task-t": 0}, (bad, bad), b"")])
        await manager.catch_up()
        await manager.platform.projector.release()
    ended = dora_state("dead-letters", "list")
    assert ended.code == 1
    assert "task-t  v1  position 1  TaskScheduled and 1 after it, since 20" in ended.out
    assert ended.out.endswith("2 events of 1 streams wait.\n")
    (told,) = dora_state("dead-letters", "list", "--json").json_lines
    assert (told["stream_id"], told["events"], told["asked"]) == ("task-t", 2, None)
    ended = dora_state("dead-letters", "show", "task-t")
    assert ended.code == 0
    assert '"actor": "x"' in ended.out
    assert "document: none yet" in ended.out
    assert dora_state("dead-letters", "show", "task-t", "--json").json["event"] == {"at": "2024-01-17T10:00:00Z"}
    ended = dora_state("dead-letters", "retry", "task-t")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "0 of 1 streams applied.")
    ended = dora_state("dead-letters", "drop", "--all")
    assert (ended.code, ended.out) == (0, "1 of 1 streams dropped.\n")
    assert dora_state("dead-letters", "list").code == 0
