"""Secrets that a test gives to everything that takes one, and a look for them in whatever is told."""

import base64
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

NAMES = ("database", "replica", "cache", "broker", "collector")


def _password(name: str) -> str:
    """With letters that a URL has to encode."""
    return f"Sesame/{name}+öffne dich@9"


@dataclass
class Secrets:
    """`told` is what was said, by who said it; where each must be kept is up to the test."""

    passwords: dict[str, str] = field(default_factory=lambda: {name: _password(name) for name in NAMES})
    keys: list[str] = field(default_factory=list)
    told: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def in_url(self, name: str) -> str:
        return quote(self.passwords[name], safe="")

    def hear(self, who: str, what: str) -> str:
        self.told[who].append(what)
        return what

    def heard(self) -> list[str]:
        """Each secret that was told, and by whom."""
        said = {who: "".join(texts) for who, texts in self.told.items()}
        return [f"{who} told {name}" for who, text in said.items() for name, one in self._forms() if one in text]

    def _forms(self) -> Iterator[tuple[str, str]]:
        for name, password in self.passwords.items():
            yield name, password
            yield name, quote(password, safe="")
            yield name, quote(password)
            yield name, password.partition("ö")[0]  # however the rest is escaped
        for key in self.keys:
            secret = key.split("_", 2)[2]
            yield "key", secret
            yield "key", secret[8:24]
            yield "key", base64.b64encode(f"key:{key}".encode()).decode().rstrip("=")[6:40]


def of_process(pid: int) -> Iterator[tuple[str, str]]:
    """What others on the machine may read of a process and of all that it has started: by file, its text.

    Its environment is not for them; it is named where the mode says that it is.
    """
    first = psutil.Process(pid)
    for process in (first, *first.children(recursive=True)):
        directory = Path(f"/proc/{process.pid}")
        for path in ("cmdline", "comm", "status", "stat", "environ"):
            try:
                mode = os.stat(directory / path).st_mode
                text = (directory / path).read_bytes().decode(errors="replace") if mode & 0o004 else ""
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            yield f"{path} of {process.pid}", text
