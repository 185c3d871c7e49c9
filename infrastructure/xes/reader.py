"""Reads an XES log (IEEE 1849) as a stream, in bounded memory, and refuses what is hostile.

A log may have any number of traces and a trace any number of events: nothing is gathered but the one event
and the attributes of the one trace that are open. expat gives the elements; document types are refused, and
with them every entity that could expand or be fetched. What expat itself would gather without end (a token,
names, prefixes) is bounded after each piece that it is fed.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, NoReturn, TypeAlias
from xml.parsers import expat

from infrastructure.xes.errors import XesError
from infrastructure.xes.source import XesSource
from infrastructure.xes.values import XesAttributes, XesValue, parse_value

MAX_DEPTH = 64
MAX_VALUE = 1024 * 1024  # characters of one attribute value
MAX_ELEMENT = 8 * 1024 * 1024  # characters of all attributes of one event, or of one trace without its events
MAX_TOKEN = 4 * 1024 * 1024  # bytes of one tag or comment, which expat holds until its end
MAX_NAMES = 10_000  # distinct names of elements and attributes, and prefixes; expat never forgets one

_ATTRIBUTES = frozenset({"string", "date", "int", "float", "boolean", "id", "list", "container"})
_KNOWN = _ATTRIBUTES | {"log", "trace", "event", "values"}
_TEXT_KEYS = frozenset({"concept:name", "lifecycle:transition", "org:resource"})
_ATTRIBUTE_COST = 100  # what an attribute takes beside its text; so that many empty ones are bounded too
_ENDS_EARLY = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


class XesEvent(NamedTuple):
    """An event; it belongs to the next XesTrace of the stream.

    `transition` is in lower case, `time` in UTC; each is None where the event has none that can be used.
    `attributes` are the others: nested ones as `{"value": ..., "nested": {...}}`, a list as a list of
    `{key: value}`, a container as a dict. Of attributes with the same key the last counts.
    """

    activity: str | None
    transition: str | None
    time: datetime | None
    resource: str | None
    attributes: XesAttributes


class XesTrace(NamedTuple):
    """The end of a trace: the events since the trace before are its events, in file order."""

    trace_id: str | None
    attributes: XesAttributes


class XesOddity(NamedTuple):
    """Something left out: `attribute without key`, or `event outside trace`, and where."""

    reason: str
    line: int


XesItem: TypeAlias = XesEvent | XesTrace | XesOddity


def read_xes(source: XesSource) -> Iterator[XesItem]:
    """The events of the log, each trace's followed by its XesTrace. Raises XesError."""
    return _Reader(source).items()


class _Node:
    """An open element: the log, a trace, an event, or an attribute with what it holds."""

    __slots__ = ("children", "entries", "key", "kind", "text")

    def __init__(self, kind: str, key: str, text: str | None) -> None:
        self.kind = kind
        self.key = key
        self.text = text
        self.children: XesAttributes | None = None
        self.entries: list[XesValue] | None = [] if kind == "list" else None

    def value(self) -> XesValue:
        if self.entries is not None:
            return self.entries
        if self.kind == "container":
            return self.children or {}
        value = self.text if self.key in _TEXT_KEYS else parse_value(self.kind, self.text)
        return value if self.children is None else {"value": value, "nested": self.children}

    def hold(self, key: str, value: XesValue) -> None:
        if self.entries is not None:
            self.entries.append({key: value})
        elif self.children is None:
            self.children = {key: value}
        else:
            self.children[key] = value


class _Reader:
    def __init__(self, source: XesSource) -> None:
        self._source = source
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartNamespaceDeclHandler = _pass_over  # with a handler, prefixes are among the names
        self._stack: list[_Node] = []
        self._kinds: dict[str, str] = {}
        self._names = 0
        self._fed = 0
        self._ignored = 0
        self._size = 0
        self._trace_size = 0
        self._ready: list[XesItem] = []

    def items(self) -> Iterator[XesItem]:
        for chunk in self._source.chunks():
            self._fed += len(chunk)
            self._parse(chunk, last=False)
            if self._fed - self._parser.CurrentByteIndex > MAX_TOKEN:
                self._refuse("token_too_long", f"a tag or comment is longer than {MAX_TOKEN} bytes")
            self._bound_names()
            yield from self._ready
            self._ready.clear()
        self._parse(b"", last=True)

    def _bound_names(self) -> None:
        names = self._parser.intern
        if len(names) == self._names:
            return
        self._names = len(names)
        if self._names > MAX_NAMES or sum(map(len, filter(None, names))) > MAX_ELEMENT:  # no prefix is None
            self._refuse(
                "too_many_names",
                f"there are more than {MAX_NAMES} distinct names in its markup, or over-long ones",
            )

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            what = expat.errors.messages.get(error.code, "not well-formed")
            if last and error.code in _ENDS_EARLY and self._fed:
                self._refuse("ends_early", "the log ends before it is closed", error.lineno)
            self._refuse("not_xml", f"this is not well-formed XML ({what})", error.lineno)
        except (LookupError, ValueError) as error:
            self._refuse("not_xml", f"the encoding that it declares can't be read ({error})")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        stack = self._stack
        if len(stack) + self._ignored >= MAX_DEPTH:
            self._refuse("too_deep", f"elements are nested deeper than {MAX_DEPTH}")
        if self._ignored:
            self._ignored += 1
            return
        if not stack:
            self._start_log(name)
            return
        kind = self._kinds.get(name)
        within = stack[-1]
        if kind in _ATTRIBUTES and within.kind != "log":
            self._start_attribute(kind, attributes)
        elif (kind == "event" and within.kind == "trace") or (kind == "trace" and within.kind == "log"):
            self._trace_size, self._size = self._size, 0
            stack.append(_Node(kind, "", None))
        elif kind == "values" and within.kind == "list":
            stack.append(within)
        else:
            if kind == "event" and within.kind == "log":
                self._leave_out("event outside trace")
            self._ignored = 1

    def _start_log(self, name: str) -> None:
        namespace, _, local = name.rpartition(" ")
        if local != "log":
            self._refuse("not_xes", f"the root element is <{local[:80]}>, not the <log> of XES")
        self._kinds = {f"{namespace} {known}" if namespace else known: known for known in _KNOWN}
        self._stack.append(_Node("log", "", None))

    def _start_attribute(self, kind: str, attributes: dict[str, str]) -> None:
        key = attributes.get("key")
        if key is None:
            self._leave_out("attribute without key")
            self._ignored = 1
            return
        text = attributes.get("value")
        length = len(text) if text is not None else 0
        if length > MAX_VALUE or len(key) > MAX_VALUE:
            self._refuse("value_too_long", f"an attribute is longer than {MAX_VALUE} characters")
        self._size += length + len(key) + _ATTRIBUTE_COST
        if self._size > MAX_ELEMENT:
            self._refuse("element_too_large", f"an element's attributes exceed {MAX_ELEMENT} characters")
        self._stack.append(_Node(kind, key, text))

    def _end(self, name: str) -> None:
        if self._ignored:
            self._ignored -= 1
            return
        stack = self._stack
        node = stack.pop()
        if node.kind == "event":
            self._size = self._trace_size
            self._ready.append(_event(node.children or {}))
        elif node.kind == "trace":
            attributes = node.children or {}
            self._ready.append(XesTrace(_take_text(attributes, "concept:name"), attributes))
        elif stack and stack[-1] is not node:  # the log has nothing above it, <values> stands for its list
            stack[-1].hold(node.key, node.value())

    def _leave_out(self, reason: str) -> None:
        self._ready.append(XesOddity(reason, self._parser.CurrentLineNumber))

    def _refuse_doctype(self, name: str, *declared: object) -> None:
        self._refuse("doctype", "it declares a document type, whose entities could expand without end")

    def _refuse(self, reason: str, what: str, line: int | None = None) -> NoReturn:
        line = self._parser.CurrentLineNumber if line is None else line
        raise XesError(
            reason,
            f"{self._source.path}, line {line}: {what}; check that the file is a whole XES log, mend it and"
            " repeat the import.",
            file=str(self._source.path),
            line=line,
        )


def _pass_over(prefix: str | None, uri: str | None) -> None:
    """Nothing to do."""


def _event(attributes: XesAttributes) -> XesEvent:
    transition = _take_text(attributes, "lifecycle:transition")
    time = attributes.get("time:timestamp")
    if isinstance(time, dict):
        time = time.get("value")
    elif isinstance(time, datetime):
        del attributes["time:timestamp"]
    return XesEvent(
        _take_text(attributes, "concept:name"),
        transition.strip().lower() if transition else None,
        time if isinstance(time, datetime) else None,
        _take_text(attributes, "org:resource"),
        attributes,
    )


def _take_text(attributes: XesAttributes, key: str) -> str | None:
    """The text of that attribute, None if blank. It stays among the others only if it holds nested ones."""
    value = attributes.pop(key, None)
    if isinstance(value, dict):
        attributes[key] = value
        value = value.get("value")
    return value if isinstance(value, str) and value.strip() else None
