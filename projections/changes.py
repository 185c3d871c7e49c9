"""What changed between two documents: as an RFC 6902 patch for machines, as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonpatch
import orjson

Document = Mapping[str, Any]
Patch = list[dict[str, Any]]

BOOKKEEPING = frozenset({"stream_version", "position", "recorded_at", "updated_at", "last_updated"})
"""Keys that every event moves; they say nothing of what changed."""
MAX_VALUE_LENGTH = 60


def compare(before: Document | None, after: Document | None) -> tuple[Patch, tuple[str, ...]]:
    """Both ways to tell what changed."""
    return of_plain(plain(before), plain(after))


def of_plain(before: dict[str, Any], after: dict[str, Any]) -> tuple[Patch, tuple[str, ...]]:
    """The same of documents that `plain` gave."""
    before, after = _without_what_stayed(before, after)
    return list(jsonpatch.make_patch(before, after)), tuple(_compare("", before, after))


def patch(before: Document | None, after: Document | None) -> Patch:
    """RFC 6902 operations that turn one document into the other; bookkeeping is left out."""
    return list(jsonpatch.make_patch(*_without_what_stayed(plain(before), plain(after))))


def _without_what_stayed(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without the parts in which they are the same bytes; the library looks at each value of what it is given."""
    same = {key for key, value in before.items() if key in after and orjson.dumps(value) == orjson.dumps(after[key])}
    return (
        {key: value for key, value in before.items() if key not in same},
        {key: value for key, value in after.items() if key not in same},
    )


def plain(document: Document | None) -> dict[str, Any]:
    """A document as JSON has it, without what every event moves."""
    kept = {key: value for key, value in (document or {}).items() if key not in BOOKKEEPING}
    return orjson.loads(orjson.dumps(kept, option=orjson.OPT_UTC_Z))  # type: ignore[no-any-return]  # an object in, an object out


def lines(before: Document | None, after: Document | None) -> Iterator[str]:
    """One line for each value that changed: `tasks.t1.state: running -> completed`."""
    yield from _compare("", plain(before), plain(after))


def _compare(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _compare(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif isinstance(after, dict) and before is None:
        for key, value in after.items():
            yield from _compare(f"{path}.{key}" if path else key, None, value)
    elif before is None or before in ([], {}):
        if after not in ([], {}):
            yield f"{path}: {_show(after)}"
    else:
        yield f"{path}: {_show(before)} -> {_show(after)}"


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        text = value
    elif isinstance(value, Sequence | dict):
        text = orjson.dumps(value).decode()
    else:
        text = str(value)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
