"""The bytes of an XES file: plain or gzip, in pieces of bounded size, hashed as they lie on disk."""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from infrastructure.xes.errors import XesError

CHUNK = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


class XesSource:
    """An open XES file; a context manager.

    `size` and `bytes_read` are bytes on disk. `sha256` is that of the whole file, and is right once `chunks`
    has come to its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise _unreadable(path, error) from error
        self._hashed = _HashedFile(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def bytes_read(self) -> int:
        return self._hashed.bytes_read

    @property
    def sha256(self) -> str:
        return self._hashed.digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The unpacked bytes, at most CHUNK at a time, however far they blow up. Raises XesError."""
        try:
            stream = io.BufferedReader(self._hashed, CHUNK)
            packed = stream.peek(2)[:2] == _GZIP_MAGIC
            reader: gzip.GzipFile | io.BufferedReader[_HashedFile] = gzip.GzipFile(fileobj=stream) if packed else stream
            while chunk := reader.read(CHUNK):
                yield chunk
        except EOFError as error:
            raise self._ends_early() from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._broken_gzip(error) from error
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _ends_early(self) -> XesError:
        return XesError(
            "ends_early",
            f"{self.path}: the gzip data breaks off after {self.bytes_read} bytes on disk;"
            " fetch the whole file again and repeat the import.",
            file=str(self.path),
            bytes_read=self.bytes_read,
        )

    def _broken_gzip(self, error: Exception) -> XesError:
        return XesError(
            "broken_gzip",
            f"{self.path}: the gzip data is broken within the first {self.bytes_read} bytes on disk"
            f" ({error}); fetch the file again and repeat the import.",
            file=str(self.path),
            bytes_read=self.bytes_read,
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file as it lies on disk, in hex. Raises XesError if it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


class _HashedFile(io.RawIOBase):
    """A file that hashes and counts what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.bytes_read += len(data)
        return len(data)


def _unreadable(path: Path, error: OSError) -> XesError:
    return XesError(
        "file_unreadable",
        f"{path}: the file can't be read ({error.strerror or error}); check its name and its permissions.",
        file=str(path),
    )
