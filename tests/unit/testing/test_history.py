"""Histories are read as they were written, but for what a client that was killed left torn."""

import os
from pathlib import Path

import orjson
import pytest

from dora_state.testing.history import Asked, Began, Followed, Read, Record, Recorder, Told, read_history

TORN = b'{"record":"to'
RECORDS: list[Record] = [
    Asked("a", "1", "StartTask", {"task-t": 1}, "digest", "ann"),
    Told("a", "1", "accepted", {"task-t": 2}, 7, 1.5),
    Began("f", 6),
    Followed("f", 7, "id", "digest"),
    Read("r", {"task-t": 2}, as_of=7, min_position=3),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "a") as write:
        write(*RECORDS[:-1])
        write(RECORDS[-1])
    return tmp_path / "a"


def tear(path: Path, torn: bytes = TORN) -> None:
    with path.open("ab") as file:
        file.write(torn)


def read(path: Path) -> list[Record]:
    return list(read_history([path]))


def test_a_history_is_read_as_it_was_written_up_to_where_its_client_was_killed(path: Path) -> None:
    assert read(path) == RECORDS
    tear(path)
    assert read(path) == RECORDS


@pytest.mark.parametrize("torn", [b"{", TORN, b'{"record":"\xc3', b'{"record":"told","client":"a"'])
def test_a_client_that_was_killed_goes_on_in_the_same_history(path: Path, torn: bytes) -> None:
    for _ in range(2):
        tear(path, torn)
        with Recorder(path) as write:
            write(*RECORDS)
    assert read(path) == RECORDS * 3


def test_one_that_is_killed_while_it_begins_anew_goes_on_too(path: Path) -> None:
    tear(path)
    whole = path.read_bytes()
    with Recorder(path) as write:
        write(RECORDS[0])
    anew = path.read_bytes().removeprefix(whole).removesuffix(orjson.dumps(RECORDS[0]) + b"\n")
    for length in range(len(anew)):
        path.write_bytes(whole + anew[:length])
        assert read(path) == RECORDS
        with Recorder(path) as write:
            write(RECORDS[0])
        assert read(path) == [*RECORDS, RECORDS[0]]


def test_a_line_that_lacks_only_its_end_is_read(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path) == RECORDS
    with Recorder(path) as write:
        write(RECORDS[0])
    assert read(path) == [*RECORDS, RECORDS[0]]


@pytest.mark.parametrize("torn", [b"", TORN])
def test_who_goes_on_says_so_in_a_line_of_its_own(path: Path, torn: bytes) -> None:
    tear(path, torn)
    before = path.read_bytes()
    with Recorder(path) as write:
        write(RECORDS[0])
        write(RECORDS[1])
    lines = [b'{"record":"anew"}', orjson.dumps(RECORDS[0]), orjson.dumps(RECORDS[1])]
    assert path.read_bytes() == before + b"\n" * bool(torn) + b"".join(line + b"\n" for line in lines)


def test_a_history_is_its_owner_s(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_who_wrote_nothing_yet_has_an_empty_history(tmp_path: Path) -> None:
    for _ in range(2):
        with Recorder(tmp_path / "a"):
            pass
    assert read(tmp_path / "a") == []


@pytest.mark.parametrize(
    "spoilt",
    [
        *(TORN + b"\n", b"\n", b"null\n", b'{"record":"asked"}\n', b'{"record":"unknown"}\n'),
        b'{"record":"told","client":"a","command_id":"1","outcome":"banana"}\n',
        b'{"record":"told","client":"a","command_id":"1","outcome":[]}\n',
        b'{"record":"told","client":"a","command_id":"1","outcome":"accepted","position":"7"}\n',
        b'{"record":"told","client":"a","command_id":"1","outcome":"accepted","versions":{"task-t":2.5}}\n',
        b'{"record":"asked","client":"a","command_id":1,"type":"StartTask"}\n',
        b'{"record":"asked","client":"a","command_id":"1","type":"StartTask","outcome":"accepted"}\n',
        b'{"record":"followed","follower":"f","position":true,"event_id":"id"}\n',
        b'{"record":"read","reader":"r","versions":[["task-t",2]]}\n',
    ],
)
@pytest.mark.parametrize("and_then", [[], RECORDS[:1]])
def test_what_is_spoilt_anywhere_else_is_not_passed_over(path: Path, spoilt: bytes, and_then: list[Record]) -> None:
    before = path.read_bytes()
    with Recorder(path.with_name("b")) as write:
        write(*RECORDS)
    path.write_bytes(before + spoilt + path.with_name("b").read_bytes())
    with Recorder(path) as write:
        write(*and_then)
    with pytest.raises(ValueError, match=rf"line 6 of {path} is no record"):
        read(path)


def test_a_whole_record_of_another_kind_where_a_client_began_anew_is_not_passed_over(path: Path) -> None:
    tear(path, b'{"record":"unknown"}')
    with Recorder(path) as write:
        write(RECORDS[0])
    with pytest.raises(ValueError, match=rf"line 6 of {path} is no record"):
        read(path)


def test_what_can_be_written_only_in_part_is_written_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write_whole(file, data[:7]))
    with Recorder(path) as write:
        write(*RECORDS)
    assert read(path) == RECORDS * 2


def test_who_could_write_only_in_part_goes_on_in_a_line_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole = os.write
    with Recorder(path) as write:
        write(RECORDS[0])

        def fill_up(file: int, data: bytes) -> int:
            if data.startswith(b"{"):
                return write_whole(file, data[:7])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(os, "write", fill_up)
            with pytest.raises(OSError, match="No space"):
                write(RECORDS[1])
        write(RECORDS[1])
    assert read(path) == [*RECORDS, *RECORDS[:2]]


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        (Told("a", "1", "accepted", at=float("nan")), "at: Input should be a valid number"),
        (Told("a", "1", "accepted", position="7"), "position: Input should be a valid integer"),  # type: ignore[arg-type]
        (Read("r", {"task-t": True}), "task-t: Input should be a valid integer"),
    ],
)
def test_what_nobody_could_read_is_not_written(path: Path, spoilt: Record, says: str) -> None:
    before = path.read_bytes()
    with Recorder(path) as write, pytest.raises(ValueError, match=says):
        write(RECORDS[0], spoilt)
    assert path.read_bytes() == before


@pytest.mark.parametrize("outcome", ["accepted", "unchanged", "refused", "invalid", "conflict", "failed"])
def test_every_outcome_of_an_answer_can_be_told(outcome: str) -> None:
    assert Told("a", "1", outcome).outcome == outcome


@pytest.mark.parametrize("outcome", ["banana", "Accepted", "done", ""])
def test_an_outcome_that_there_is_not_is_told_to_who_writes_it_down(outcome: str) -> None:
    with pytest.raises(ValueError, match=f"'{outcome}' is no outcome of a command"):
        Told("a", "1", outcome)
