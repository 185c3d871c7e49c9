"""`make audit`: is anything known against what the locks pin? 0: nothing; 1: something; 2: nobody could be asked."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from supply.accepted import ACCEPTED, Accepted, read_accepted, still_open
from supply.folder import OLDEST, Folder
from supply.index import PackageIndex
from supply.known import NotAsked, Source, Vulnerability, ask
from supply.osv import OSV, OsvService
from supply.pins import Pin, read_locks

FINE, VULNERABLE, NOT_ASKED = 0, 1, 2


def main(arguments: Sequence[str] | None = None, now: datetime | None = None) -> int:
    given = _arguments().parse_args(arguments)
    now = now or datetime.now(UTC)
    try:
        accepted = read_accepted(given.accepted, now.date())
        pins = read_locks(given.lock)
    except OSError as error:
        print(f"Error: {error.filename} can't be read ({error.strerror}); name another one.", file=sys.stderr)
        return NOT_ASKED
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return NOT_ASKED
    asked = _first_that_answers(_sources(given, now), list(pins))
    if asked is None:
        return NOT_ASKED
    source, found = asked
    return _tell(source, pins, found, accepted, now)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument(
        "--advisories", type=Path, help="a folder with advisories in the format of OSV: nobody is asked"
    )
    parser.add_argument("--oldest", type=int, default=OLDEST.days, help="days that the newest of them may be old")
    parser.add_argument("--osv", default=OSV, help="the address of OSV, or of a mirror of it (default: %(default)s)")
    parser.add_argument("--index", help="the address of a package index, without /simple (default: pip's)")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help=argparse.SUPPRESS)
    parser.add_argument("--lock", type=Path, action="append", help="one lock, instead of all of them")
    return parser


def _sources(given: argparse.Namespace, now: datetime) -> list[Source]:
    if given.advisories is not None:
        return [Folder(given.advisories, now, timedelta(days=given.oldest))]
    return [OsvService(given.osv), PackageIndex(given.index)]


def _first_that_answers(sources: Sequence[Source], pins: Sequence[Pin]) -> tuple[Source, list[Vulnerability]] | None:
    reasons = []
    for source in sources:
        try:
            return source, ask(source, pins)
        except NotAsked as reason:
            reasons.append(_plain(str(reason)))
    print(
        f"Error: Nobody could be asked, so nothing is known about these {len(pins)} packages ({'; '.join(reasons)}):"
        " run it where one of them can be reached, or name a folder with advisories (make audit ADVISORIES=...).",
        file=sys.stderr,
    )
    return None


def _tell(
    source: Source,
    pins: dict[Pin, list[str]],
    found: Sequence[Vulnerability],
    accepted: Sequence[Accepted],
    now: datetime,
) -> int:
    left = still_open(found, accepted, now.date())
    for one in found:
        mark = "" if one in left else "accepted: "
        print(_plain(f"{mark}{one} [{', '.join(pins[one.pin])}]"))
    for entry in accepted:
        if not any(entry.covers(one, now.date()) for one in found):
            print(f"{entry.id} of {entry.package} is accepted until {entry.until}, and not needed: take it out.")
    print(
        f"{len(pins)} packages, {len(found)} known vulnerabilities, {len(found) - len(left)} of them accepted"
        f" (asked: {source.name}, {now:%Y-%m-%d})."
    )
    return VULNERABLE if left else FINE


def _plain(text: str) -> str:
    """What strangers wrote, without signs that a terminal would act upon."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


if __name__ == "__main__":
    sys.exit(main())
