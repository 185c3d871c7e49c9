"""No SQL is made of what somebody sends: all of it comes from files, with names of ours put in and nothing else."""

import re
from pathlib import Path

import pytest

from infrastructure import sql
from tests.support.statements import unexplained

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("domain", "commands", "projections", "infrastructure", "dora_state")
    for path in (REPOSITORY / package).rglob("*.py")
)  # fmt: skip
SCRIPTS = sorted((REPOSITORY / "infrastructure").rglob("*.sql"))
SQL = re.compile(
    r"""["']\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|MERGE|CREATE|ALTER|DROP|TRUNCATE|GRANT|SET|WITH|LISTEN|COPY)\s"""
)


def test_every_statement_that_is_sent_comes_from_a_file() -> None:
    found = {path: unexplained(path.read_text()) for path in SOURCES}
    assert {str(path.relative_to(REPOSITORY)): lines for path, lines in found.items() if lines} == {}


def test_no_sql_stands_in_python() -> None:
    assert [str(path) for path in SOURCES if SQL.search(path.read_text())] == []


@pytest.mark.parametrize(
    "statement",
    [
        "f'SELECT {id}'",
        "'SELECT ' + id",
        "'SELECT %s' % id",
        "'SELECT {}'.format(id)",
        "id",
        "sql.load('log_head') + id",
        "SQL(sql.load('locks/hear').decode()).format(channel=id)",
        "SQL(sql.load('locks/hear').decode()).format(channel=SQL(id))",
        "SQL(id)",
        "SQL(id).format(name=Identifier(id))",
        "about.text",
        "made(id)",
        "chosen",
        "sql.load('log_head') if id else id",
        "'no/such/file'",
        "added",
    ],
)
def test_a_statement_that_is_made_otherwise_is_found(statement: str) -> None:
    source = f"""
def made(id):
    return f"SELECT {{id}}"

async def ask(connection, id, about):
    chosen = sql.load("log_head")
    chosen = "SELECT " + id
    added = sql.load("log_head")
    added += id
    await connection.execute({statement}, (id,))
"""
    assert len(unexplained(source)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "sql.load('log_head')",
        "sql.named('setup/drop_schema', schema=schema)",
        "SQL(sql.load('locks/hear').decode()).format(channel=Identifier(id))",
        "made('x')",
        "given",
        "'log_head'",
    ],
)
def test_a_statement_from_a_file_is_none_of_these(statement: str) -> None:
    source = f"""
def made(name):
    return sql.load(f"read_models/{{name}}")

async def ask(connection, id, given):
    await connection.execute({statement}, (id,))

async def asking(connection):
    await ask(connection, 1, sql.load("log_head"))
    await ask(connection, 1, given=made("x"))
"""
    assert unexplained(source) == []


def test_what_comes_row_by_row_is_looked_into_too() -> None:
    source = """
async def ask(connection, id):
    return AsyncCursor(connection).stream({statement})
"""
    assert len(unexplained(source.format(statement="f'SELECT {id}'"))) == 1
    assert unexplained(source.format(statement="sql.load('log_head')")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "async with AsyncCursor(connection).copy(f'COPY {id} TO STDOUT') as rows: pass",
        "await AsyncClientCursor(connection).stream(f'SELECT {id}')",
        "await psycopg.AsyncRawCursor(connection).execute(f'SELECT {id}')",
        "cursor = AsyncServerCursor(connection, name=id)",
        "cursor: AsyncServerCursor = AsyncServerCursor(connection, name=id)",
        "made = AsyncCursor",
        "ask(AsyncCursor(connection))",
        "run = connection.execute",
        "await ask(connection.execute, id)",
        "await getattr(connection, 'execute')(f'SELECT {id}')",
        "run = methodcaller('executemany', id)",
        "await connection.execute(query=f'SELECT {id}')",
        "await connection.execute(*(id,))",
        "await connection.executemany(id, [])",
        "await connection.cursor().execute(sql.load('log_head'))",
        "await connection.wait(generators.execute(id))",
        "connection.pgconn.exec_prepared(id)",
        "connection.pgconn.exec_(id)",
        "connection.pgconn.send_query_params(id, [])",
        "connection.pgconn.prepare(b'', id)",
        "await connection.execute(sql.load(f'{id}'))",
        "await connection.execute(sql.load(f'{id}/of'))",
        "await connection.execute(sql.load('read_models/' + id))",
        "await connection.execute(sql.load(id))",
        "await connection.execute(sql.load(name=id))",
        "await connection.execute(sql.load('no/such/file'))",
        "await connection.execute(sql.load(f'no/such/{id}'))",
        "await connection.execute(sql.named(id, schema='x'))",
        "sql = Fake()",
        "from psycopg import sql",
        "import psycopg.sql as sql",
        "run = lambda sql: connection.execute(sql.load('log_head'))",
    ],
)
def test_what_sends_otherwise_or_could_is_found(statement: str) -> None:
    assert unexplained(f"async def ask(connection, id):\n    {statement}\n") != []


@pytest.mark.parametrize(
    "statement",
    [
        "async with AsyncCursor(connection).copy(sql.load('log_head')) as rows: pass",
        "await AsyncCursor(connection).stream(sql.load(f'read_models/{id}'))",
        "async with connection.stream('GET', f'/{id}') as answer: pass",
        "twin = connection.tasks.copy()",
        "cursor: AsyncCursor[TupleRow] = await connection.execute(sql.load('log_head'))",
        "from infrastructure import sql",
        "async def rows(found: psycopg.AsyncCursor[TupleRow]) -> AsyncCursor: pass",
        "pipeline.execute()",
    ],
)
def test_what_sends_nothing_else_is_none_of_these(statement: str) -> None:
    assert unexplained(f"async def ask(connection, id):\n    {statement}\n") == []


def test_a_query_is_loaded_from_among_ours_only() -> None:
    for name in ("../__init__", "../../x", "/etc/passwd", "a/../../b", "", "LOG_HEAD", "log_head\n", "log_head.sql"):
        with pytest.raises(ValueError, match="no name of a query"):
            sql.load(name)


def test_a_caller_that_gives_something_else_is_found() -> None:
    source = """
class Asked:
    async def rows(self, query, id):
        await self.connection.execute(query, (id,))

    async def good(self):
        await self.rows(sql.load("log_head"), 1)

    async def bad(self, id):
        await self.rows("SELECT " + id, 1)
"""
    assert len(unexplained(source)) == 1


@pytest.mark.parametrize(
    "word", ["", "x; DROP TABLE events", "x'", 'x"', "x--", "x/*", "pg_sleep(1)", "x\n", "\\x", "ü"]
)
def test_what_could_be_more_than_a_name_or_a_comparison_is_no_word_of_ours(word: str) -> None:
    with pytest.raises(ValueError, match="no word of ours"):
        sql.named("setup/drop_schema", schema=word)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_function_runs_only_what_format_has_made(script: Path) -> None:
    """`%I` and `%L` quote; what `%s` puts in must be a number or a text of ours, so that few functions may have one."""
    text = re.sub(r"--[^\n]*", "", script.read_text())
    assert not re.search(r"\bEXECUTE\s+(?!format\s*\(|FUNCTION\b|ON\b)", text)
    if re.search(r"\bEXECUTE\s+format\b", text) and re.search(r"%(\d+\$)?s", text):
        assert script.stem in MADE_OF_OUR_OWN


MADE_OF_OUR_OWN = frozenset({"attach_month", "make_append", "make_read_streams", "point_to_open_month"})
"""Functions with `%s`: they put in positions and oids, and texts that functions of ours make of names alone."""
