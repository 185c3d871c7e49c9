"""Boards, rates, and who did what. What lists are of are documents."""

from dora_state.http.schemas.words import LINES, NUMBER, TEXT, TIME, WHOLE, Schema, by_name, list_of, maybe, of, told


def lists() -> dict[str, Schema]:
    counts = told(by_name(WHOLE), "By state; those of nothing are left out.")
    numbers = ("tasks_completed", "tasks_failed", "tasks_timed_out", "tasks_cancelled", "workflows_completed")
    seconds = told(maybe(NUMBER), "Seconds; null where nothing was measured.")
    named = ("command_id", "correlation_id", "causation_id", "authenticated", "credential")
    action = {"position": WHOLE, "recorded_at": TIME, "actor": TEXT, "command_type": TEXT}
    return {
        "Board": of(
            {
                "by": TEXT, "columns": list_of(of({"value": maybe(TEXT), "total": WHOLE, "counts": counts})),
                "total": WHOLE, "counts": counts, "next": maybe(TEXT),
            }
        ),
        "Rate": of(
            {"begin": TIME, "end": TIME}
            | dict.fromkeys(numbers, WHOLE)
            | {"error_rate": NUMBER, "average_response_time": seconds, "average_execution_time": seconds}
        ),
        "Action": of(
            action
            | {"first_position": maybe(WHOLE), "occurred_at": maybe(TEXT)}
            | dict.fromkeys(named, maybe(TEXT))
            | {"stream_ids": maybe(LINES), "event_types": maybe(LINES)}
        ),
        "Actor": of({"actor": TEXT} | action),
    }  # fmt: skip
