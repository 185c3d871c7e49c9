"""Every SQL statement of the house, one object a file; nothing but loading happens here.

`control/` and `migrations/` are numbered, run once and never change after a release (control: once a
database; migrations: once a tenant). `functions/` and then `views/` can be run again, and are whenever one
of them changed: whoever changes one in a release adds a numbered migration beside it, so that an older
release leaves the newer ones alone. `queries/` is what the adapters send.

A numbered script says in a line which earlier releases can work with what it leaves: `-- Works beside releases
from 0270_lock_places on.`, by the last script that such a release has, or `-- Works beside no earlier release.`
"""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

_WORKS_BESIDE = re.compile(rb"^-- Works beside releases from (\w+) on\.$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z0-9_.,+<> ]+")
"""Names, lists of them, and comparisons of columns with numbers."""
_QUERY = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Script:
    """A file of SQL statements: its name without the ending, and its text."""

    name: str
    text: bytes

    @property
    def checksum(self) -> str:
        return sha256(self.text).hexdigest()

    @property
    def works_beside(self) -> str | None:
        """The last script of the oldest release that can work with what this one leaves; None for no earlier one."""
        said = _WORKS_BESIDE.search(self.text)
        return None if said is None else said[1].decode()


@cache
def load(name: str) -> bytes:
    """A query's text by its path under `queries/`, without the ending; ValueError for what could lead out of there."""
    if not _QUERY.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a query")
    return files(__name__).joinpath("queries", f"{name}.sql").read_bytes()


def named(query: str, /, **words: str) -> bytes:
    """A query with words of ours in its places for them, such as a checked schema's name: never what somebody gave.

    Should that ever fail: what could be a text, a comment or a call is a ValueError.
    """
    text = load(query)
    for place, word in words.items():
        if not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} is no word of ours for {place} in {query}")
        text = text.replace(f"{{{place}}}".encode(), word.encode())
    return text


@cache
def scripts(directory: str) -> tuple[Script, ...]:
    """All the scripts of a directory, in the order of their names."""
    found = [entry for entry in files(__name__).joinpath(directory).iterdir() if entry.name.endswith(".sql")]
    return tuple(Script(entry.name[:-4], entry.read_bytes()) for entry in sorted(found, key=lambda e: e.name))
