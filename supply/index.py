"""What the package index tells of a release, in the JSON that it has beside its pages: the one that pip is set to."""

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from supply.known import NotAsked, Vulnerability, merged
from supply.pins import Pin
from supply.web import fetch_json, understood

AT_ONCE = 8


class PackageIndex:
    """An index by its URL, without `/simple`; where none is given, pip's."""

    name = "the package index"

    def __init__(self, url: str | None = None) -> None:
        self._url = url

    def ask(self, pins: Sequence[Pin]) -> list[Vulnerability]:
        """See Source. An index that does not know one of them, or tells nothing of vulnerabilities, was not asked."""
        self._url = self._url or of_pip()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return merged([one for found in threads.map(self._of, pins) for one in found])

    def _of(self, pin: Pin) -> list[Vulnerability]:
        told = fetch_json(f"{self._url}/pypi/{quote(pin.name)}/{quote(pin.version)}/json")

        def read() -> list[Vulnerability]:
            return [
                Vulnerability(
                    pin,
                    tuple(dict.fromkeys([str(one["id"]), *(str(alias) for alias in one.get("aliases") or ())])),
                    str(one.get("summary") or one.get("details") or "").strip().partition("\n")[0][:200],
                    tuple(str(version) for version in one.get("fixed_in") or ()),
                )
                for one in told["vulnerabilities"]
                if not one.get("withdrawn")
            ]

        return understood(self.name, read)


def of_pip() -> str:
    """The index that pip takes packages from, as its help tells: settings, environment and all. Raises NotAsked."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--help"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\(default\s+(https?://\S+?)/?\)", re.sub(r"\s+", " ", said))
    if found is None:
        raise NotAsked("pip does not say from which index it takes packages")
    return found[1].removesuffix("/simple")
