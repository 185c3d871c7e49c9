"""Which trace ids a log has used, and ids for traces that have none; both in little memory."""

import os
import re
from hashlib import blake2b

_DIGEST = 16
_FREE = bytes(_DIGEST)
_GENERATED = re.compile(r"trace(-+)[0-9]+")


class SeenIds:
    """A set of texts that keeps 16 bytes of each.

    It is one table of digests, at most two thirds full (24 to 48 bytes an id, where a set of Python's takes
    over a hundred). The digests are keyed by chance, so that no log can be made to collide in it.
    """

    def __init__(self) -> None:
        self._table = bytearray(1024 * _DIGEST)
        self._used = 0
        self._key = os.urandom(_DIGEST)

    def add(self, text: str) -> bool:
        """Whether it is new."""
        if not self._place(blake2b(text.encode(), digest_size=_DIGEST, key=self._key).digest()):
            return False
        self._used += 1
        if self._used * 3 * _DIGEST > len(self._table) * 2:
            self._grow()
        return True

    def _place(self, digest: bytes) -> bool:
        table, size = self._table, len(self._table)
        at = int.from_bytes(digest[:8], "little") * _DIGEST % size
        while (held := table[at : at + _DIGEST]) != _FREE:
            if held == digest:
                return False
            at = (at + _DIGEST) % size
        table[at : at + _DIGEST] = digest
        return True

    def _grow(self) -> None:
        old = self._table
        self._table = bytearray(2 * len(old))
        for at in range(0, len(old), _DIGEST):
            digest = bytes(old[at : at + _DIGEST])
            if digest != _FREE:
                self._place(digest)


class GeneratedIds:
    """Chooses how traces without an id are called: `trace-7` is the seventh trace of the file.

    Ids of the log's own may look the same, so the name is chosen when the whole file has been read: with as
    many dashes as no id of the file has, `trace--7` if there is some `trace-1` (or any number), and so on.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def note(self, trace_id: str) -> None:
        """See an id of the file."""
        match = _GENERATED.fullmatch(trace_id)
        if match is not None:
            self._taken.add(len(match[1]))

    def prefix(self) -> str:
        dashes = 1
        while dashes in self._taken:
            dashes += 1
        return "trace" + "-" * dashes
