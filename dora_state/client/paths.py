"""Where things are on the server, and how times are said to it."""

from datetime import UTC, datetime
from urllib.parse import quote

from domain.errors import InvalidInput

KINDS = ("workflow", "task", "agent", "pool", "system")


def path_of(kind: str, aggregate_id: str) -> str:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {kind}; the kinds are {', '.join(KINDS)}.", kind=kind)
    return "/v1/system" if kind == "system" else f"/v1/{kind}s/{segment(aggregate_id)}"


def segment(text: str) -> str:
    """A part of a path. Dots that are all of it would be taken for directions. Raises InvalidInput."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(sendable(text), safe="")


def sendable(text: str) -> str:
    """Raises InvalidInput for half a character, for which a URL has no way to say it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{text!a} is no Unicode and names nothing; leave it out.") from None
    return text


def told(moment: datetime | None) -> str | None:
    """Without a zone it is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()
