"""What people see on a terminal is what stands there: nothing from outside acts upon it."""

import io
import logging

import pytest
from rich.text import Text

from dora_state.cli.formats import table
from dora_state.cli.logs import AGAIN_SECONDS, SpokenWarnings, speak_warnings
from dora_state.cli.output import Output, OutputFailed, printable, say

EVIL = "a\x1b[2Jb\x9bc\u202ed\te\rf"
SHOWN = "a\\x1b[2Jb\\x9bc\\u202ed\\te\\rf"


def test_only_what_can_be_seen_is_left_as_it_is() -> None:
    assert printable(EVIL) == SHOWN
    assert printable("\x7f\udc80\u2066") == "\\x7f\\udc80\\u2066"
    plain = "Größe 漢字 \u00a0\u3000 🙂 …"
    assert printable(plain) == plain


def test_words_and_lines_stay_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{EVIL}\nError: forged")
    Output(as_json=False).line(f"{EVIL}\nforged")
    out, err = capsys.readouterr()
    assert err == f"{SHOWN}\\nError: forged\n"
    assert out == f"{SHOWN}\\nforged\n"


def test_tables_show_it_too_and_keep_their_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table("id", "what")
    rows.add_row("x\x1b[31m", Text("\u202ey", style="red"))
    Output(as_json=False).show("first\x1b]0;t", rows)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "first\\x1b]0;t"
    assert "x\\x1b[31m" in out.splitlines()[2]
    assert "\\u202ey" in out.splitlines()[2]
    assert "\x1b" not in out


def test_json_for_programs_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).json_line({"id": "a\u202e"})
    assert capsys.readouterr().out == '{"id":"a\u202e"}\n'


def test_without_a_stderr_words_do_not_go_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    say("a word")
    assert capsys.readouterr().out == ""


def test_without_a_stdout_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(OutputFailed, match="it is closed"):
        Output(as_json=False).line("x")
    with pytest.raises(OutputFailed, match="it is closed"):
        Output(as_json=False).show("x")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _warn(handler: SpokenWarnings, message: str, *arguments: object) -> None:
    handler.handle(logging.LogRecord("n", logging.WARNING, "p", 1, message, arguments, None))


def test_the_same_warning_is_told_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    handler = SpokenWarnings(debug=False, clock=clock)
    for _ in range(3):
        _warn(handler, "%s is\naway", "It")
    _warn(handler, "It is back")
    clock.now = AGAIN_SECONDS
    _warn(handler, "%s is\naway", "It")
    assert capsys.readouterr().err == "It is away\nIt is back\nIt is away\n"


def test_a_fault_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = ZeroDivisionError("by\nnothing")
    record = logging.LogRecord("n", logging.ERROR, "p", 1, "Not decided", (), (type(error), error, None))
    SpokenWarnings(debug=False).handle(record)
    assert capsys.readouterr().err == "Not decided: ZeroDivisionError: by nothing\n"


def test_our_own_warnings_are_told_and_those_of_the_pool_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, stderr = logging.getLogger("psycopg.pool"), io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    # As a process finds them when it starts.
    monkeypatch.setattr(logging.root, "handlers", [])
    levels = logging.root.level, pool.level
    try:
        speak_warnings(debug=False)
        pool.warning("discarding broken connection <...>")
        logging.getLogger("projections.projector").warning("The projector tries again")
        logging.getLogger("projections.projector").info("not this")
    finally:
        logging.root.setLevel(levels[0])
        pool.setLevel(levels[1])
    assert stderr.getvalue() == "The projector tries again\n"
