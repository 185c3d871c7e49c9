"""Whatever is typed is done or refused: one sentence, a known exit code, never a traceback."""

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dora_state.cli.app import command
from dora_state.cli.entry import main
from dora_state.cli.exits import Exit
from tests.support.hostile import TEXTS

LEFT_OUT = {
    ("serve",),  # never ends
    ("worker",),
    ("demo",),  # starts servers
    ("tenants", "create"),  # leave something behind for others
    ("tenants", "drop"),
    ("keys", "create"),
    ("keys", "revoke"),
}
NOT_SAID = {"--into", "--help", "--install-completion", "--show-completion"}
FILES = {"file", "--output", "--html"}
NAMES = [
    "workflow",
    "task",
    "agent",
    "pool",
    "system",
    "wf",
    "t1",
    "a1",
    "jsonl",
    "xes",
    "csv",
    "ocel",
    "hour",
    "all",
    "x",
]
CUTS = ["now", "start", "v1", "v3", "p2", "p99999", "1", "0", "-1", "2024-01-17", "2024-01-17T10:00:00Z", "1e3", "nan"]
LINE_REFUSED = re.compile(r'^line \d+: .+ invalid$|^\{"line":\d+,.*"outcome":"invalid"', re.MULTILINE)
EACH = 10 * int(os.environ.get("DORA_STATE_TEST_FUZZ", "15"))
SAYS = {"--wait": ["0", "0.01", "-1", "nan", "x"], "--limit": ["1", "3", "0", "-5", "99999999999", "x"]}
LINES = [
    {"type": "CreateWorkflow", "data": {"workflow_id": "wf", "definition_id": "d"}},
    {"type": "AddTask", "data": {"workflow_id": "wf", "task_id": "t1", "definition_id": "d"}},
    {"type": "RegisterAgent", "data": {"agent_id": "a1", "agent_type": "t"}},
]
sayable = [text for text in TEXTS if "\0" not in text and len(text) < 1000] + ["\udcff", "--", "-x", "--json=1"]
word = st.sampled_from(sayable) | st.sampled_from(NAMES) | st.sampled_from(CUTS)
content = st.binary(max_size=40) | st.lists(st.sampled_from(LINES)).map(
    lambda all: "".join(f"{json.dumps(one)}\n" for one in all).encode()
)


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in (getattr(node, "commands", None) or {}).items():
        yield from leaves(inner, (*path, name))
    if not getattr(node, "commands", None) and path not in LEFT_OUT:
        yield path, node


def said(parameter: Any) -> st.SearchStrategy[list[str]]:
    """A parameter, as it may be typed."""
    name = parameter.opts[0]
    if name in NOT_SAID:
        return st.just([])
    if name in FILES:
        value: st.SearchStrategy[str] = st.sampled_from(["given", "new", "missing/x", ".", "", "-x"])
    else:
        value = st.sampled_from(SAYS[name]) if name in SAYS else word
    if not name.startswith("-"):
        return st.lists(value, max_size=2)
    if parameter.is_flag:
        return st.just([name])
    return value.map(lambda text: [name, text]) | value.map(lambda text: [f"{name}={text}"])


def typed(path: tuple[str, ...], node: Any) -> st.SearchStrategy[list[str]]:
    known = {parameter.opts[0]: said(parameter) for parameter in node.params}
    chosen = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True) if known else st.just([])
    words = chosen.flatmap(lambda names: st.tuples(*(known[name] for name in names)))
    junk: st.SearchStrategy[list[str]] = st.just([]) | st.just([]) | st.lists(word, max_size=1)
    return st.builds(lambda parts, more: [*path, *(one for part in parts for one in part), *more], words, junk)


ANYTHING = st.one_of([typed(path, node) for path, node in leaves(command())])


@contextmanager
def within(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture
def place(tmp_path: Path, database_url: str, redis_url: str, tenant: str) -> Iterator[Path]:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    variables = {
        "DORA_STATE_HOME": str(tmp_path / "home"),
        "DORA_STATE_DATABASE_URL": database_url,
        "DORA_STATE_REDIS_URL": redis_url,
        "DORA_STATE_TENANT": tenant,
    }
    with within(deep), patch.dict(os.environ, variables):
        yield deep


def lacking_half() -> Iterator[list[str]]:
    """Half a character, as bytes that are no UTF-8 become one, in each place of each command where a word may be."""
    for path, node in leaves(command()):
        places = [parameter for parameter in node.params if not parameter.opts[0].startswith("-")]
        options = [one.opts[0] for one in node.params if one.opts[0].startswith("-") and not one.is_flag]
        before = ["workflow", "wf", "v1", "now"][: len(places)]
        for number in range(len(places)):
            yield [*path, *before[:number], "\udcff", *before[number + 1 :]]
            yield [*path, *before[:number], "\udcff"]
        for option in options:
            if option not in NOT_SAID:
                yield [*path, *before, option, "\udcff"]
                yield [*path, option, "\udcff"]


def test_half_a_character_is_refused_or_names_nothing(place: Path) -> None:
    (place / "given").write_bytes(b"")
    tried = 0
    for words in lacking_half():
        err = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(err), patch("sys.stdin", io.StringIO("")):
            code = main(words)
        assert code != Exit.BUG, (words, err.getvalue())
        tried += 1
    assert tried > 200, tried


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=EACH,
)
@given(words=ANYTHING, content=content)
@example(words=["submit", "given"], content=b"\0")
@example(words=["submit", "--json", "given"], content=b"\0")
def test_whatever_is_typed_is_done_or_refused(place: Path, words: list[str], content: bytes) -> None:
    (place / "given").write_bytes(content)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch("sys.stdin", io.StringIO(content.decode("latin-1"))):
        code = main(words)
    told = err.getvalue()
    assert code in set(Exit)
    assert code not in (Exit.BUG, Exit.INTERRUPTED), told
    assert "Traceback" not in told
    if code == Exit.BAD_INPUT:
        refusals = [line for line in told.splitlines() if line.startswith("Error: ")]
        # What is submitted is answered line by line.
        assert len(refusals) == 1 or LINE_REFUSED.search(out.getvalue()), (told, out.getvalue())
