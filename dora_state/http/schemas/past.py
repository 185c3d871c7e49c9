"""What is told of the past: histories, differences, timelines, conversations."""

from dora_state.http.schemas.words import (
    ANY_OBJECT,
    LINES,
    TEXT,
    TIME,
    UUID,
    WHOLE,
    YES_OR_NO,
    Schema,
    list_of,
    maybe,
    of,
    one_of,
    ref,
    told,
)

WHO = {"actor": maybe(TEXT), "authenticated": maybe(TEXT), "credential": maybe(TEXT)}


def past() -> dict[str, Schema]:
    side = of(
        {"version": WHOLE, "position": WHOLE, "recorded_at": TIME, "state": TEXT, "document": ref("Document")},
    )
    return {
        "Patch": told(list_of(_operation()), "What turns one document into another, as RFC 6902 has it."),
        "History": of({"items": list_of(ref("Version")), "next": maybe(WHOLE)}),
        "Version": _version(),
        "Difference": of(
            {
                "kind": TEXT, "id": TEXT, "appeared": YES_OR_NO, "ended": YES_OR_NO, "before": maybe(side),
                "after": maybe(side), "patch": ref("Patch"), "lines": LINES,
            }
        ),
        "Timeline": _timeline(),
        "Trace": of({"correlation_id": TEXT, "commands": list_of(ref("TracedCommand"))}),
        "TracedCommand": _traced(),
    }  # fmt: skip


def _operation() -> Schema:
    return of(
        {"op": one_of("add", "remove", "replace", "move", "copy", "test"), "path": TEXT}, value={}, **{"from": TEXT}
    )


def _version() -> Schema:
    names = ("command", "command_id", "correlation_id", "causation_id", "reason")
    return of(
        {"version": WHOLE, "position": WHOLE, "recorded_at": TIME, "occurred_at": maybe(TIME), "type": TEXT}
        | WHO
        | dict.fromkeys(names, maybe(TEXT))
        | {"data": told(ANY_OBJECT, "The event."), "patch": ref("Patch"), "lines": LINES}
    )


def _timeline() -> Schema:
    stretch = of({"state": TEXT, "agent": maybe(TEXT), "begin": TIME, "end": told(maybe(TIME), "null: it still was.")})
    return of(
        {
            "kind": TEXT, "id": TEXT, "begin": TIME, "end": TIME, "upto": one_of("now", "the cut", "its end"),
            "rows": told(
                list_of(of({"task_id": TEXT, "state": TEXT, "segments": list_of(stretch)})), "One for each task."
            ),
            "marks": told(list_of(of({"at": TIME, "text": TEXT})), "What happened to the whole."),
            "omitted": told(WHOLE, "Rows that came before."),
        }
    )  # fmt: skip


def _traced() -> Schema:
    event = {"position": WHOLE, "event_id": UUID, "stream_id": TEXT, "version": WHOLE, "type": TEXT}
    return of(
        {
            "depth": told(WHOLE, "0: nothing in the conversation caused it."), "command_id": TEXT, "type": maybe(TEXT),
            "recorded_at": TIME, "occurred_at": maybe(TIME), "causation_id": maybe(TEXT),
            "events": list_of(of(event)),
        }
        | WHO
    )  # fmt: skip
