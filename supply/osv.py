"""Advisories in the format of OSV (https://ossf.github.io/osv-schema/), and the service that has all of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

from supply.known import NotAsked, Vulnerability, merged
from supply.pins import Pin, canonical
from supply.web import fetch_json, understood

OSV = "https://api.osv.dev"
AT_ONCE = 500
"""Pins of one question; the service takes 1,000."""
MOST_PAGES = 50


class OsvService:
    """The service, or a mirror of it in one's own network."""

    def __init__(self, url: str = OSV) -> None:
        self._url = url.rstrip("/")
        self.name = self._url

    def ask(self, pins: Sequence[Pin]) -> list[Vulnerability]:
        """See Source."""
        found = [(pin, id) for pin, ids in self._ids(pins) for id in ids]
        advisories = {id: self._advisory(id) for id in sorted({id for _, id in found})}
        told = [vulnerability(pin, advisories[id]) for pin, id in found if not advisories[id].get("withdrawn")]
        return merged(told)

    def _ids(self, pins: Sequence[Pin]) -> Iterator[tuple[Pin, list[str]]]:
        for begin in range(0, len(pins), AT_ONCE):
            asked: list[tuple[Pin, str | None]] = [(pin, None) for pin in pins[begin : begin + AT_ONCE]]
            for _ in range(MOST_PAGES):
                results = self._query(asked)
                yield from ((pin, ids) for (pin, _), (ids, _) in zip(asked, results, strict=True))
                asked = [(pin, next) for (pin, _), (_, next) in zip(asked, results, strict=True) if next]
                if not asked:
                    break
            else:
                raise NotAsked(f"{self.name} tells without end")

    def _query(self, asked: Sequence[tuple[Pin, str | None]]) -> list[tuple[list[str], str | None]]:
        """For each the ids of a page, and the mark of the next one."""
        answer = fetch_json(f"{self._url}/v1/querybatch", {"queries": [_question(*one) for one in asked]})

        def read() -> list[tuple[list[str], str | None]]:
            results = answer["results"]
            if len(results) != len(asked):
                raise ValueError(f"{len(results)} answers to {len(asked)} questions")
            return [
                ([str(one["id"]) for one in each.get("vulns", [])], each.get("next_page_token")) for each in results
            ]

        return understood(self.name, read)

    def _advisory(self, id: str) -> dict[str, Any]:
        if not all(letter.isalnum() or letter in "-_.:" for letter in id):
            raise NotAsked(f"{self.name} answers with {id[:80]!r}, which is no name of an advisory")
        advisory = fetch_json(f"{self._url}/v1/vulns/{id}")
        if not isinstance(advisory, dict) or advisory.get("id") != id:
            raise NotAsked(f"{self.name} answers with something else than the advisory {id}")
        return advisory


def _question(pin: Pin, page: str | None) -> dict[str, Any]:
    question = {"package": {"name": pin.name, "ecosystem": "PyPI"}, "version": pin.version}
    return question | ({"page_token": page} if page else {})


def vulnerability(pin: Pin, advisory: dict[str, Any]) -> Vulnerability:
    """An advisory that is about a pin."""

    def read() -> Vulnerability:
        summary = str(advisory.get("summary") or advisory.get("details") or "").strip().partition("\n")[0][:200]
        names = dict.fromkeys([str(advisory["id"]), *(str(one) for one in advisory.get("aliases") or ())])
        return Vulnerability(pin, tuple(names), summary, tuple(_fixes(pin, advisory)))

    return understood(f"An advisory about {pin}", read)


def concerns(advisory: dict[str, Any], pin: Pin) -> bool:
    """Whether a release is among those that an advisory names. Raises NotAsked where that can't be told."""
    return understood(
        f"The advisory {advisory.get('id')}",
        lambda: any(_has(one, advisory, pin) for one in _about(advisory, pin.name)),
    )


def _about(advisory: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for affected in advisory.get("affected") or ():
        package = affected.get("package") or {}
        if package.get("ecosystem") == "PyPI" and canonical(str(package.get("name"))) == name:
            yield affected


def _has(affected: dict[str, Any], advisory: dict[str, Any], pin: Pin) -> bool:
    if pin.version in (affected.get("versions") or ()):
        return True
    ranges = [one for one in affected.get("ranges") or () if one["type"] == "ECOSYSTEM"]
    try:
        return any(_is_within(one["events"], Version(pin.version)) for one in ranges)
    except InvalidVersion as error:
        raise NotAsked(f"The advisory {advisory.get('id')} can't be held against {pin} ({error})") from None


def _is_within(events: Sequence[dict[str, str]], version: Version) -> bool:
    """As the format tells it: events by version, the last one up to ours decides."""
    moments = []
    for event in events:
        ((kind, text),) = event.items()
        moments.append((Version("0.dev0" if text == "0" else text), kind))
    inside = False
    for moment, kind in sorted(moments):
        if kind == "introduced" and version >= moment:
            inside = True
        elif (kind == "fixed" and version >= moment) or (kind == "last_affected" and version > moment):
            inside = False
    return inside


def _fixes(pin: Pin, advisory: dict[str, Any]) -> Iterator[str]:
    for affected in _about(advisory, pin.name):
        for one in affected.get("ranges") or ():
            if one["type"] == "ECOSYSTEM":
                yield from (str(event["fixed"]) for event in one["events"] if "fixed" in event)
