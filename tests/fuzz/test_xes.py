"""Any file is read as a log, or refused by the one error of reading."""

import gzip
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.xes.errors import XesError
from infrastructure.xes.reader import XesEvent, XesTrace, read_xes
from infrastructure.xes.source import XesSource
from tests.support.refusals import refusal_of
from tests.support.xes_logs import LoggedEvent, LoggedTrace, at, xes

GOOD = xes(
    *(
        LoggedTrace(f"case-{number}", tuple(LoggedEvent("A", "start", at(step), "r", {"n": step}) for step in range(3)))
        for number in range(3)
    )
)
TOKENS = re.split(r"(<[^>]*>|\"[^\"]*\")", GOOD)
STRANGE = [
    "", "<", ">", "&", "&amp;", "&#0;", "&#x110000;", "&x;", "]]>", "<![CDATA[", "<!--", "<?xml version='1.1'?>",
    "<!DOCTYPE log [<!ENTITY a 'b'>]>", "<?xml version='1.0' encoding='utf-7'?>", "<log>", "</log>", "<trace>",
    "</trace>", "<event>", "</event>", "<list key='l'><values>", "</values></list>", "<container key='c'>", "<string/>",
    "<string key=''/>", '<date key="time:timestamp" value="9999-12-31T23:59:59-14:00"/>',
    '<date key="time:timestamp" value="0001-01-01T00:00:00+14:00"/>', '<int key="n" value="99999999999999999999"/>',
    '<float key="n" value="1e999"/>', '<boolean key="b" value="2"/>', "<a:b xmlns:a='x'/>", "<a:b/>", " xmlns:xml='x'",
    f"<string key='k' value='{'x' * 3000}'/>", "<string key='k'>" * 100, "\ufeff", "\x01", "\u2028", "\U0001f600",
    "<container key='k'>" * 30,
]  # fmt: skip
piece = st.sampled_from(STRANGE) | st.sampled_from(TOKENS) | st.text(max_size=20)
spoilt = st.lists(
    st.tuples(st.integers(0, len(TOKENS) - 1), st.sampled_from(["swap", "before", "cut"]), piece), max_size=4
)


def logs() -> st.SearchStrategy[bytes]:
    """A good log with some of its tokens spoilt, or none at all; plain or packed, whole or cut off."""

    def spoil(changes: list[tuple[int, str, str]]) -> bytes:
        tokens = list(TOKENS)
        for place, way, by in changes:
            tokens[place] = {"swap": by, "before": by + tokens[place], "cut": ""}[way]
        return "".join(tokens).encode(errors="surrogatepass")

    written = (
        spoilt.map(spoil) | st.lists(piece).map(lambda all: "".join(all).encode(errors="surrogatepass")) | st.binary()
    )
    packed = (
        written | written.map(gzip.compress) | written.map(lambda raw: raw.decode("utf-8", "replace").encode("utf-16"))
    )
    return st.builds(lambda raw, end: raw[: len(raw) - end], packed, st.sampled_from([0, 0, 0, 1, 9, 40]))


@given(logs(), st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=3)), max_size=3))
def test_any_file_is_a_log_or_refused(raw: bytes, overwritten: list[tuple[int, bytes]]) -> None:
    for place, by in overwritten:
        start = place % max(len(raw), 1)
        raw = raw[:start] + by + raw[start + len(by) :]
    with NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        refused = refusal_of(lambda: read_through(Path(file.name)))
    assert refused is None or (isinstance(refused, XesError) and refused.facts)


def read_through(path: Path) -> None:
    """To its end; an event is never without its trace."""
    open_events = 0
    with XesSource(path) as source:
        for item in read_xes(source):
            if isinstance(item, XesEvent):
                open_events += 1
                assert item.time is None or item.time.utcoffset() is not None
            elif isinstance(item, XesTrace):
                open_events = 0
    assert open_events == 0
