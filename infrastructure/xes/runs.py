"""Sorted runs on disk: what does not fit in memory is sorted in parts and merged.

A run is a file of lines, each a JSON array that begins with time (microseconds since 1970), sequence and
kind. No two lines have the same three, so arrays compare without ever reaching what comes after.
"""

import heapq
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson

from infrastructure.private_files import create

Line: TypeAlias = tuple[int, int, int, bytes]

RUN_BYTES = 16 * 1024 * 1024
MERGE_WIDTH = 64  # files open at once
_BUFFER = 64 * 1024


class Runs:
    """Gathers lines in any order and writes them as sorted runs into the directory. Raises OSError."""

    def __init__(self, directory: Path, run_size: int) -> None:
        self._directory = directory
        self._run_size = run_size
        self._lines: list[Line] = []
        self._bytes = 0
        self._written = 0
        self.paths: list[Path] = []

    def add(self, time: int, sequence: int, kind: int, line: bytes) -> None:
        self._lines.append((time, sequence, kind, line))
        self._bytes += len(line)

    def full_with(self, count: int, size: int) -> bool:
        """Whether so many more lines, of so many bytes, would fill a run."""
        return len(self._lines) + count >= self._run_size or self._bytes + size >= RUN_BYTES

    def write(self) -> None:
        """Write what was gathered as a run."""
        if not self._lines:
            return
        self._lines.sort()
        with create(self._new_file(), buffering=_BUFFER) as file:
            file.writelines(line for _, _, _, line in self._lines)
            _settle(file)
        self._lines.clear()
        self._bytes = 0

    def finish(self) -> None:
        """Write the last run, and merge until few enough are left to be read at once."""
        self.write()
        while len(self.paths) > MERGE_WIDTH:
            parts, self.paths = self.paths[:MERGE_WIDTH], self.paths[MERGE_WIDTH:]
            with create(self._new_file(), buffering=_BUFFER) as file:
                file.writelines(orjson.dumps(record) + b"\n" for record in merge(parts))
                _settle(file)
            for part in parts:
                part.unlink()

    def _new_file(self) -> Path:
        self._written += 1
        path = self._directory / f"run-{self._written}.jsonl"
        self.paths.append(path)
        return path


def _settle(file: BinaryIO) -> None:
    """On the disk before a marker says that it is there."""
    file.flush()
    os.fsync(file.fileno())


def merge(paths: list[Path]) -> Iterator[list[Any]]:
    """The records of all runs in order; each run is read as it is needed."""
    with ExitStack() as files:
        runs = [map(orjson.loads, files.enter_context(path.open("rb", buffering=_BUFFER))) for path in paths]
        yield from heapq.merge(*runs)
