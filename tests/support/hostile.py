"""Good values made hostile: whatever is within replaced by what nobody means."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]


def _nested(levels: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


TEXTS = [
    "", " ", "\0", "a\0b", "a\x1fb", "\x7f", "\u200b", "\u2028", " a", "x" * 256, "x" * 12_000, "1e400", "9" * 400,
    "2024-01-17T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "self", "null", "%", "'; --",
    "-", "-1", "workflow-", "system", "\ufffd", "\U0001f600", "../../x", "v0", "p0", "now", "start",
]  # fmt: skip
NASTY: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, float("nan"), float("-inf"), 2**62, 2**63, 2**64, 10**400, -(10**400),
    [], [1], [None], [[]], ["a", "a"], [{}], {}, {"": None}, {"a": None}, {"\0": 1}, {"\ud800": 1}, "\ud800",
    {"type": 1, "self": 2, "data": 3}, {"x" * 300: 1}, {str(number): number for number in range(300)},
    _nested(40, list), _nested(40, dict), _nested(400, list), _nested(400, dict), *TEXTS,
]  # fmt: skip
"""Some of them are good in some places."""
NUMBERS = ["inf", "-inf", "nan", "1e300", "1e-300", "-0", "0.5", "60", "2678400", "2678401", "1_0", "٣", "0x10", "1e3"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def server_urls(
    schemes: list[str], parameters: list[str], values: list[str], secret: str, nearly: Sequence[str] = ()
) -> st.SearchStrategy[str]:
    """URLs of servers, some of them good, with what holds a secret where it belongs and where it was not escaped.

    `nearly` are queries that are good, or would be beside others.
    """
    who = ["", f"u:{secret}@", f":{secret}@", f"u:%ff{secret}@", f"u:12/{secret}@", f"u:1#{secret}@", f"u:1?{secret}@"]
    hosts = ["h", "h:1", "", "[::1]:1", "a..b", "a%00b", "x" * 64, "h:0", "h:99999999", "h:x", "[", "h1:1,h2:2"]
    paths = ["/0", "", "/", "/15", "/db", "/1/2", "/-1", "/٣", "/%00", "/run/redis.sock", f"/{'a' * 200}"]
    said = st.builds(
        "{}={}".format,
        st.sampled_from([*parameters, secret, ""]),
        st.sampled_from([*values, *NUMBERS, "", secret, "%ff"]),
    )
    if nearly:
        said |= st.sampled_from(nearly)
    return st.builds(
        lambda scheme, user, host, path, query: (
            f"{scheme}://{user}{host}{path}" + (f"?{'&'.join(query)}" if query else "")
        ),
        st.sampled_from(schemes),
        *(st.just(words[0]) | st.sampled_from(words) for words in (who, hosts, paths)),
        st.lists(said, max_size=2),
    )


def places(value: Any, within: Place = ()) -> Iterator[Place]:
    """Of all values within, the whole one first."""
    yield within
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*within, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*within, number))


def replaced(value: Any, place: Place, by: Any) -> Any:
    """The same with another value at a place."""
    if not place:
        return by
    first, rest = place[0], place[1:]
    if isinstance(value, dict):
        return {key: replaced(inner, rest, by) if key == first else inner for key, inner in value.items()}
    return [replaced(inner, rest, by) if key == first else inner for key, inner in enumerate(value)]


def spoilt(value: Any) -> st.SearchStrategy[Any]:
    """With one value, at any place, replaced by anything; or with one more key in an object."""
    anything = st.sampled_from(NASTY) | ANY_JSON
    known = list(places(value))
    inserted = [(*place, "") for place in known if isinstance(at(value, place), dict)]
    swapped = st.builds(lambda place, by: replaced(value, place, by), st.sampled_from(known), anything)
    if not inserted:
        return swapped
    more = st.builds(
        lambda place, key, by: replaced(value, place[:-1], {**at(value, place[:-1]), key: by}),
        st.sampled_from(inserted),
        st.sampled_from([*TEXTS, "\ud800"]),
        anything,
    )
    return swapped | more


def at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def written(value: Any) -> bytes:
    """As JSON text, also what JSON has not: lone surrogates, numbers of any length, NaN."""
    return json.dumps(value).encode()
