"""What clients asked and were told, written down as it happens, for the checker.

A client writes `Asked` before it sends a command and `Told` once it knows the answer; one that is killed in between
has left a command of unknown fate. Each client has a file of its own: lines of JSON, each written whole.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self, get_args

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from commands.envelope import Outcome
from commands.messages.agent import Heartbeat

OUTCOMES = frozenset[str](get_args(Outcome))
FOR_GOOD = frozenset({"accepted", "unchanged", "refused", "invalid"})
"""Outcomes that stay as they are, however often the command is sent again."""
TELEMETRY = Heartbeat.type
"""Commands of this type are recorded only if they change something: an answer without a position tells of no event, and
the next one may be another.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command is about to be sent. `expected` are versions by stream that it names.

    `content` is a digest of what is asked, of the client's own making: for one that asks for other things by one id.
    `actor` is in whose name it is asked, where that is to be held against the log.
    """

    client: str
    command_id: str
    type: str
    expected: Mapping[str, int] = field(default_factory=dict)
    content: str = ""
    actor: str = ""
    record: Literal["asked"] = field(default="asked", kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to a command; `outcome` is that of the answer, `at` is Unix time.

    Raises ValueError for an outcome that there is not: it would be taken for one that proves nothing.
    """

    client: str
    command_id: str
    outcome: str
    versions: Mapping[str, int] = field(default_factory=dict)
    position: int | None = None
    at: float = 0.0
    record: Literal["told"] = field(default="told", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"{self.outcome!r} is no outcome of a command; those are {', '.join(sorted(OUTCOMES))}.")


@dataclass(frozen=True, slots=True)
class Began:
    """A follower is about to follow the log after a position, for the first time or again."""

    follower: str
    after: int = 0
    record: Literal["began"] = field(default="began", kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Followed:
    """A follower got an event. One that did not write down where it began is held to the log from its beginning.

    `content` is that of the event (contents.py), where it is to be held against the log, too.
    """

    follower: str
    position: int
    event_id: str
    content: str = ""
    record: Literal["followed"] = field(default="followed", kw_only=True, repr=False)


@dataclass(frozen=True, slots=True)
class Read:
    """A reader was shown streams at some versions (0: not there), all at one moment: `as_of` is the position of it.

    `as_of` is None where the reader was not told; all must have been so together all the same, and what was read one
    after the other is a `Read` each. `min_position` is what it asked to be included. `contents` are those of the
    documents (contents.py), as far as the reader looks at them.
    """

    reader: str
    versions: Mapping[str, int]
    as_of: int | None = None
    min_position: int = 0
    contents: Mapping[str, str] = field(default_factory=dict)
    record: Literal["read"] = field(default="read", kw_only=True, repr=False)


Record = Asked | Told | Began | Followed | Read
_RECORD = TypeAdapter[Record](Annotated[Record, Field(discriminator="record")])

_ANEW = orjson.dumps({"record": "anew"})
"""A line where somebody began to write, so that the one before it may be torn."""


class Recorder:
    """Writes a client's history down, in the same file after it was killed. A line is with the system before what it
    tells of goes on.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._may_be_torn = True
        """The last line, which is another's, or could not be written to its end."""

    def __call__(self, *records: Record) -> None:
        """Raises OSError; what is written after that begins anew. Raises ValueError for what nobody could read."""
        lines = b"".join([_line(one) for one in records])
        if self._may_be_torn:
            self._begin_anew()
        self._may_be_torn = True
        self._write(lines)
        self._may_be_torn = False

    def _begin_anew(self) -> None:
        size = os.fstat(self._file).st_size
        if size:
            ends = os.pread(self._file, 1, size - 1) == b"\n"
            self._write((b"" if ends else b"\n") + _ANEW + b"\n")

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        os.close(self._file)


def read_history(paths: Iterable[Path]) -> Iterator[Record]:
    """All records of these files, each file in its order.

    A line that a client was killed in is passed over: the last one, or one after which somebody began to write anew.
    Raises ValueError for anything else that is no record.
    """
    for path in paths:
        yield from _read(path)


def _read(path: Path) -> Iterator[Record]:
    torn = 0  # the line that can't be read, which is for the next ones to excuse
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line == _ANEW:
            torn = 0
        elif torn:
            if not _ANEW.startswith(line):  # who began anew may have been killed at that, too
                raise _no_record(torn, path)
        else:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError:
                torn = number
                continue
            try:
                yield _record(line)
            except ValidationError as error:
                raise _no_record(number, path) from error


def _line(record: Record) -> bytes:
    line = orjson.dumps(record)
    try:
        _record(line)
    except ValidationError as error:
        told = error.errors()[0]
        raise ValueError(f"{record} is no record: {told['loc'][-1]}: {told['msg']}.") from error
    return line + b"\n"


def _record(line: bytes) -> Record:
    return _RECORD.validate_json(line, strict=True, extra="forbid")


def _no_record(line: int, path: Path) -> ValueError:
    return ValueError(f"line {line} of {path} is no record.")
