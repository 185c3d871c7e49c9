"""What append refuses because it is not well-formed, from this house or from another client."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from domain.errors import AppendRejected
from domain.log import Appended
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from tests.support.log import command
from tests.support.postgres import Connection, connected, rows


@pytest.mark.parametrize(
    "stream_id",
    [
        "",
        "-",
        "task",
        "task-",
        "-1",
        "task-a\x00b",
        "task-\n",
        "ta\tsk-1",
        "task-\x85",
        "task-\udc00",
        "task-" + "x" * 508,
    ],
)
async def test_a_stream_id_that_is_none_is_refused(log: PostgresEventLog, stream_id: str) -> None:
    with pytest.raises(AppendRejected, match="no id of a stream"):
        await log.append([command({stream_id: 0})])
    assert (await log.head()).position == 0


async def test_the_longest_stream_id_and_strange_characters_are_fine(log: PostgresEventLog) -> None:
    for stream_id in ("task-" + "x" * 507, "task-TRACE/A%2F#1", "task-ü'\"\\ --;{}%s", "task-1-2-3"):
        await log.append([command({stream_id: 0})])
        assert [e.stream_id async for e in log.read_stream(stream_id)] == [stream_id]


async def test_an_event_whose_stream_is_not_expected_is_refused(log: PostgresEventLog) -> None:
    with pytest.raises(AppendRejected, match="without an expected version"):
        await log.append([command({"task-1": 0}, {"task-2": 1})])


@pytest.mark.parametrize("type", ["", "a\x00", "a\nb", "\ud800"])
async def test_an_event_type_that_is_none_is_refused(log: PostgresEventLog, type: str) -> None:
    with pytest.raises(AppendRejected, match="no type of an event"):
        await log.append([command({"task-1": 0}, type=type)])


async def test_a_time_of_recording_is_an_imports_only(log: PostgresEventLog) -> None:
    with pytest.raises(AppendRejected, match="An import says recorded_at"):
        await log.append([command({"task-1": 0}, at=datetime(2011, 10, 1, tzinfo=UTC))])


async def test_a_rejected_call_records_nothing_and_the_same_ids_may_come_again(log: PostgresEventLog) -> None:
    good = command({"task-1": 0})
    with pytest.raises(AppendRejected, match="out of range"):
        await log.append([good, command({"task-2": 2**70})])

    assert await log.find_command(good.command_id) is None
    assert isinstance((await log.append([good]))[0], Appended)


APPEND = """SELECT outcome, first_position FROM append(%s::uuid[], %s::bytea[], %s::int[], NULL, %s::text[], %s::int[],
    %s::int[], %s::bigint[], %s::int[], %s::int[], %s::uuid[], %s::text[], %s::int[], %s::bytea[], %s::bytea[])"""


async def test_another_client_may_start_its_versions_at_zero(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for expected in (-1, 0):
            await connection.execute(
                APPEND,
                (
                    [uuid4()],
                    [b""],
                    [1],
                    ["order-1"],
                    [1],
                    [1],
                    [expected],
                    [1],
                    [1],
                    [uuid4()],
                    ["placed"],
                    [1],
                    [b"{}"],
                    [b"{}"],
                ),
            )
        conflict = await rows(
            connection,
            APPEND,
            *(
                [uuid4()],
                [b""],
                [1],
                ["order-1"],
                [1],
                [1],
                [-1],
                [1],
                [1],
                [uuid4()],
                ["placed"],
                [1],
                [b"{}"],
                [b"{}"],
            ),
        )
    assert conflict == [("conflict", None)]
    assert [e.version async for e in log.read_stream("order-1", after_version=-1)] == [0, 1]
    assert [e.version for e in (await log.read_streams(["order-1"]))["order-1"]] == [0, 1]


TWO: dict[int, list[object]] = {
    0: [uuid4(), uuid4()],
    1: [b"", b""],
    2: [1, 2],
    3: ["task-1", "task-2"],
    4: [1, 2],
    5: [1, 2],
    6: [0, 0],
    7: [1, 1],
    8: [1, 2],
    9: [uuid4(), uuid4()],
    10: ["a", "a"],
    11: [1, 1],
    12: [b"", b""],
    13: [b"", b""],
}
"""Two commands, each with an event in a stream of its own."""


def _one(expected: int) -> list[list[object]]:
    """A command with an event in task-1."""
    return [[uuid4()], [b""], [1], ["task-1"], [1], [1], [expected], [1], [1], [uuid4()], ["a"], [1], [b""], [b""]]


NO_STREAMS: list[dict[int, list[object]]] = [{3: ["task"]}, {3: ["task-" + "x" * 508]}]


@pytest.mark.parametrize("found", ["an empty log", "an open month", "the streams"])
@pytest.mark.parametrize(
    "broken",
    [
        {0: [], 1: [], 2: []},  # no command
        {0: [uuid4()] * 2, 1: [b"", b""], 2: [1, 1]},  # one id twice
        {1: []},  # no answer
        {2: []},  # no count of events
        {2: [0]},  # one that is wrong
        {2: [2]},
        {3: ["task-1", "task-1"]},  # a stream twice
        *NO_STREAMS,
        {4: [], 5: [], 6: [], 7: []},  # no claim
        {4: [2]},  # a claim of no command
        {5: [2]},  # of no stream
        {5: [0]},
        {6: [None]},
        {7: [0]},  # that counts wrong
        {7: [2]},
        {7: [None]},
        {3: ["task-1", "task-2"], 4: [1, 1], 5: [1, 2], 6: [0, 0], 7: [1, 2]},
        {3: ["task-1", "task-2"], 4: [1, 1], 5: [1, 2], 6: [0, 0], 7: [1, -1]},
        {8: [2]},  # an event of no claim
        {8: [None]},
        {9: []},  # an event without an id
        TWO | {8: [2, 1]},  # events out of order
        TWO | {2: [2, 2]},  # counted to the wrong command
        TWO | {2: [1, 0]},
        TWO | {0: [uuid4(), uuid4(), uuid4()], 1: [b"", b"", b""], 2: [2, 1, 2], 4: [1, 3]},  # counts that fall
        TWO | {0: [uuid4(), uuid4(), uuid4()], 1: [b"", b"", b""], 2: [1, None, 2], 4: [1, 3]},
        TWO | {4: [2, 1]},  # claims out of order
        TWO | {3: ["task-1"], 4: [2, 1], 5: [1, 1], 6: [0, 1], 8: [2, 1]},  # so that versions fall
        TWO | {7: [2, 0]},  # counted to the wrong claim
    ],
)
async def test_a_call_that_is_not_well_formed_is_refused_by_its_code(
    log: PostgresEventLog, database_url: str, tenant: str, broken: dict[int, list[object]], found: str
) -> None:
    if found == "an open month":
        await log.append([command({"task-0": 0})])
    if found == "the streams":
        await log.append([command({"task-1": 0}), command({"task-2": 0})])
    arguments = _one(0)
    for place, instead in broken.items():
        arguments[place] = instead
    if found == "the streams" and broken not in NO_STREAMS:
        arguments[6] = [expected + 1 if isinstance(expected, int) else expected for expected in arguments[6]]
    async with connected(database_url, tenant, Role.WRITER) as connection:
        before = await rows(connection, "SELECT * FROM commands")
        with pytest.raises(psycopg.Error) as refused:
            await connection.execute(APPEND, arguments)
        if refused.value.sqlstate == "23505":  # a key saw what came twice
            assert found != "an empty log"
            assert broken.keys() & {0, 3}
        else:
            assert refused.value.sqlstate == "DS002"
            assert "rule" in str(refused.value.diag.message_detail)
        assert await rows(connection, "SELECT * FROM commands") == before


COMMANDS, ANY = "each command has an id, an answer and a count of events", "there is at least one command"
CLAIMS = "each claim has a command, a stream, an expected version and a count of events"
IN_ORDER = "claims are in the order of their commands, each on one of the streams"
ONCE, COUNTED = "a stream id comes once", "each claim counts its events"
EVENTS = "each event has a claim, an id, a type, a schema version, data and metadata, and is counted"
RULES: list[tuple[str | None, str | None, str | None, str | None]] = [
    (ANY, ANY, COMMANDS, COMMANDS),
    (COMMANDS, COMMANDS, COMMANDS, COMMANDS),
    (COMMANDS, COMMANDS, COMMANDS, EVENTS),
    (CLAIMS, IN_ORDER, ONCE, None),
    *4 * [(CLAIMS, CLAIMS, CLAIMS, IN_ORDER)],
    (EVENTS, EVENTS, EVENTS, COUNTED),
    *5 * [(EVENTS, EVENTS, EVENTS, None)],
]
"""By array: which rule one breaks that is not there, is empty, has too many, or has nothing at its place."""


async def _rule(connection: Connection, query: LiteralString, arguments: Sequence[object] | None = None) -> str:
    """Which one is broken by a call."""
    with pytest.raises(psycopg.Error) as refused:
        await connection.execute(query, arguments)
    return str(json.loads(refused.value.diag.message_detail or "{}")["rule"])


@pytest.mark.parametrize("found", ["an empty log", "the stream"])
async def test_each_array_has_as_many_as_the_others(
    log: PostgresEventLog, database_url: str, tenant: str, found: str
) -> None:
    if found == "the stream":
        await log.append([command({"task-1": 0})])
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for place, rules in enumerate(RULES):
            good = _one(1 if found == "the stream" else 0)
            for instead, rule in zip((None, [], good[place] * 2, [None]), rules, strict=True):
                if rule is not None:  # else a key or a column says it
                    broken = await _rule(connection, APPEND, [*good[:place], instead, *good[place + 1 :]])
                    assert broken == rule, (place, instead)
        unclaimed = [*_one(0)[:4], [], [], [], [], *_one(0)[8:]]
        assert await _rule(connection, APPEND, unclaimed) == EVENTS


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("p_tokens => '{1}'", "each token has a command"),
        ("p_token_commands => '{1}'", "each token has a command"),
        ("p_tokens => '{1, 2}', p_token_commands => '{1}'", "each token has a command"),
        ("p_import_id => gen_random_uuid()", "only an import says recorded_at"),
        ("p_recorded_at => ARRAY[now()]", "only an import says recorded_at"),
        ("p_event_types => '{\"\"}'", "the type of an event has a name"),
    ],
)
async def test_what_may_be_left_out_is_said_as_a_whole(
    log: PostgresEventLog, database_url: str, tenant: str, said: LiteralString, rule: str
) -> None:
    everything: dict[str, LiteralString] = {
        "p_command_ids": "ARRAY[gen_random_uuid()]",
        "p_answers": "ARRAY[''::bytea]",
        "p_command_lasts": "'{1}'",
        "p_recorded_at": "NULL",
        "p_stream_ids": "'{task-1}'",
        "p_claim_commands": "'{1}'",
        "p_claim_streams": "'{1}'",
        "p_claim_expected": "'{0}'",
        "p_claim_counts": "'{1}'",
        "p_event_claims": "'{1}'",
        "p_event_ids": "ARRAY[gen_random_uuid()]",
        "p_event_types": "'{a}'",
        "p_event_schema_versions": "'{1}'",
        "p_event_data": "ARRAY[''::bytea]",
        "p_event_metadata": "ARRAY[''::bytea]",
    }
    others = [f"{name} => {value}" for name, value in everything.items() if name not in said]
    query: LiteralString = "SELECT FROM append(" + ", ".join([*others, said]) + ")"
    async with connected(database_url, tenant, Role.WRITER) as connection:
        assert await _rule(connection, query) == rule
        await connection.execute("SELECT FROM append(" + ", ".join(f"{k} => {v}" for k, v in everything.items()) + ")")
    assert (await log.head()).position == 1
