"""Every operation of the server, in the order in which paths are looked at: those asked most come first."""

from typing import Any

from dora_state.access.caller import Permission
from dora_state.http import (
    events,
    exports,
    from_events,
    lists,
    locking,
    past,
    rollbacks,
    states,
    submissions,
    transactions,
    wellbeing,
)
from dora_state.http.examples import sent
from dora_state.http.explaining import explain_problem
from dora_state.http.operations import Body, Header, Operation, Reply
from dora_state.http.parameters import CutQuery, Query

UUID_TEXT = {"type": "string", "format": "uuid"}
KEY = Header(
    "Idempotency-Key", "Becomes the command_id of a single command: sent again, it is answered as before.", UUID_TEXT
)
IF_MATCH = Header("If-Match", "The ETag (or the version) that the command's aggregate must be at.")
PREFER = Header("Prefer", "`respond-async`: do not wait for the answer.")
CORRELATION = Header("X-Correlation-Id", "The conversation of commands that name none.")
IF_NONE_MATCH = Header("If-None-Match", "ETags that the caller has the document of.")
LAST_EVENT_ID = Header("Last-Event-ID", "Go on after this position; wins over after_position.")
LOCK_TOKEN = Header("Lock-Token", "The tokens of locks that the caller holds, with commas between.")
SUBMITTING = (KEY, IF_MATCH, PREFER, CORRELATION, LOCK_TOKEN)
REFUSALS = (409, 412, 413, 415, 423)
IN_OUTAGES = "While the database is away, whoever was let in during the last day is answered too."
KINDS = {"workflow": "Workflow", "task": "Task", "agent": "Agent", "pool": "Pool", "system": "System"}
STORED = {"System": "StoredSystem"}
"""Schemas of documents that are another without what is of the moment of reading."""


def _submissions() -> list[Operation]:
    later = Reply("It is queued, and not recorded yet; ask at `Location`.", "Accepted")
    answer = Reply("The command was accepted, or there was nothing new to record.", "Answer")
    return [
        Operation(
            "POST", "/v1/commands", "submitCommands", "Submit one command, or an array of them",
            submissions.submit_commands, Permission.COMMANDS,
            {
                200: answer,
                202: later,
                207: Reply("An array was sent: the answers, in its order, each with its status.",
                           {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}}),
            },
            "commands",
            "An answer is given once the log has it durably. Commands of an array are decided in its order, each on"
            " what those before it left, and each is answered on its own: one that is refused harms no other. An array"
            " has 1,000 commands at most.",
            headers=SUBMITTING, body=Body("Submissions", sent.SUBMISSIONS), problems=REFUSALS,
        ),
        Operation(
            "POST", "/v1/transactions", "commitTransaction", "Commands and changed states as one",
            transactions.commit_transaction, Permission.COMMANDS,
            {200: answer}, "commands",
            "Decided at one moment and recorded as one, or not at all. A state that was read at a version and changed"
            " is handed back as a step; the change becomes commands, and what follows from them is checked.",
            headers=(KEY, CORRELATION, LOCK_TOKEN), body=Body("TransactionBody", sent.TRANSACTION),
            problems=(404, *REFUSALS),
        ),
        Operation(
            "POST", "/v1/locks", "takeLock", "Have a workflow, task, agent or pool to oneself", locking.take_lock,
            Permission.COMMANDS,
            {200: Reply("The first line tells `stream_id` and `token`; it is held while the answer goes on.", None,
                        locking.JSON_LINES)},
            "commands",
            "Commands of others on it are answered `locked`; one's own are sent with the token, which is of use to"
            " nobody else. Close the connection to let go. It ends `hold` seconds after it was taken or last renewed."
            " The last line is `lost` where the holder was not heard of in time or the server leaves, else `released`.",
            body=Body("LockBody", sent.LOCK), problems=(409, 413, 415, 423), timed=False,
        ),
        Operation(
            "PUT", "/v1/locks/{token}", "renewLock", "Hold on to a lock", locking.renew_lock, Permission.COMMANDS,
            {200: Reply("It is held for its `hold` seconds from now on.", "RenewedLock")}, "commands",
            "Only whoever took it may. 409: it is lost.", problems=(409,),
        ),
        Operation(
            "DELETE", "/v1/locks/{token}", "releaseLock", "Let go of a lock at once", locking.release_lock,
            Permission.COMMANDS, {204: Reply("Nobody holds it under this token.")}, "commands",
            "Whoever took it may, and operators.",
        ),
        Operation(
            "GET", "/v1/locks", "listLocks", "Who holds what, and who waits", locking.list_locks, Permission.OPERATE,
            {200: Reply("Locks, who held on longest first.", _items_of("HeldLock"))}, "commands",
        ),
        Operation(
            "GET", "/v1/commands/{id}", "getCommand", "What a command was answered", submissions.get_command,
            Permission.COMMANDS, {200: answer, 202: later}, "commands",
            "Its status stands in the answer, as it would have come. 202: it is under way.", problems=(404,),
        ),
        Operation(
            "POST", "/v1/workflows/{id}/rollback", "rollBackWorkflow",
            "Restore an earlier state, or see what it would do",
            rollbacks.roll_back, Permission.COMMANDS,
            {
                200: Reply("The answer; of a dry run, the preview.",
                           {"anyOf": [{"$ref": "#/components/schemas/Answer"},
                                      {"$ref": "#/components/schemas/RollbackPreview"}]}),
                202: later,
            },
            "commands",
            "Nothing is removed: an event restores the state, and says why and by whom. Tried or done, it is recorded"
            " as a look at the past.",
            headers=SUBMITTING, body=Body("Rollback", sent.ROLLBACK), problems=(404, *REFUSALS),
        ),
    ]  # fmt: skip


def _states() -> list[Operation]:
    handlers = {
        "workflow": states.get_workflow, "task": states.get_task, "agent": states.get_agent, "pool": states.get_pool,
        "system": states.get_system,
    }  # fmt: skip
    return [
        Operation(
            "GET", _path(kind), f"get{name}", f"A {kind}, now or at a cut" if kind != "system" else "The system",
            handlers[kind], Permission.READS,
            {
                200: Reply("The document.", name, headers={"ETag": "Kind, id, version."}),
                304: Reply("The caller has it."),
            },
            "states", "A cut asks for the past, which takes the permission `history`.",
            query=states.StateQuery, headers=(IF_NONE_MATCH,), problems=(404, 409, 410),
        )
        for kind, name in KINDS.items()
    ]  # fmt: skip


def _past() -> list[Operation]:
    made = []
    for kind, name in KINDS.items():
        path = _path(kind)
        made += [
            Operation(
                "GET", f"{path}/history", f"get{name}History", f"The versions of a {kind}", past.get_history,
                Permission.HISTORY,
                {200: Reply("A page of versions.", "History", or_as=(past.JSON_LINES,))},
                "past",
                "With `stream=true` all of them, as JSON lines.",
                query=past.HistoryQuery, problems=(404, 410), timed=False,
            ),
            Operation(
                "GET", f"{path}/diff", f"get{name}Diff", f"A {kind} at two cuts", past.get_diff,
                Permission.HISTORY, {200: Reply("Both documents, and the patch.", "Difference")}, "past",
                query=past.DiffQuery, problems=(404, 410),
            ),
            Operation(
                "GET", f"{path}/events", f"get{name}Events", f"The events of a {kind}", from_events.get_events,
                Permission.HISTORY, {200: Reply("A line for each.", None, past.JSON_LINES)}, "past",
                query=from_events.UpToQuery, problems=(404, 410), timed=False,
            ),
            Operation(
                "GET", f"{path}/reconstruction", f"reconstruct{name}", f"A {kind} by its events alone",
                from_events.get_reconstruction, Permission.HISTORY,
                {200: Reply("The document.", STORED.get(name, name))}, "past",
                "Folded from the first event on, without any snapshot or read model.",
                query=from_events.UpToQuery, problems=(404, 410), timed=False,
            ),
        ]  # fmt: skip
        if kind in ("workflow", "task", "agent"):
            made.append(Operation(
                "GET", f"{path}/timeline", f"get{name}Timeline", "Tasks over time", past.get_timeline,
                Permission.HISTORY, {200: Reply("Rows of stretches.", "Timeline")}, "past",
                query=CutQuery, problems=(404, 410),
            ))  # fmt: skip
    return [
        *made,
        Operation(
            "GET", "/v1/diff", "getChanges", "All that changed between two cuts", past.get_everything_that_changed,
            Permission.HISTORY, {200: Reply("A line for each aggregate.", None, past.JSON_LINES)}, "past",
            query=past.EverythingQuery, problems=(404, 410), timed=False,
        ),
        Operation(
            "GET", "/v1/traces/{correlation_id}", "getTrace", "All that one request caused", past.get_trace,
            Permission.HISTORY, {200: Reply("Commands, causes first.", "Trace")}, "past",
            query=past.TraceQuery, problems=(404, 410), timed=False,
        ),
    ]  # fmt: skip


def _lists() -> list[Operation]:
    pages: list[tuple[str, str, str, Any, type[Query], str]] = [
        ("/v1/workflows", "listWorkflows", "Workflows", lists.list_workflows, lists.WorkflowsQuery, "Workflow"),
        ("/v1/tasks", "listTasks", "Tasks", lists.list_tasks, lists.SortedTasksQuery, "Task"),
        ("/v1/overdue", "listOverdue", "Tasks past their deadline", lists.list_overdue, lists.TasksQuery, "Task"),
        ("/v1/stalled", "listStalled", "Tasks without a word", lists.list_stalled, lists.StalledQuery, "Task"),
        ("/v1/pending", "listPending", "What is to be done next", lists.list_pending, lists.PendingQuery, "Task"),
        ("/v1/agents", "listAgents", "Agents", lists.list_agents, lists.AgentsQuery, "Agent"),
        ("/v1/pools", "listPools", "Resource pools", lists.list_pools, lists.PageQuery, "Pool"),
        ("/v1/reservations", "listReservations", "Active reservations", lists.list_reservations,
         lists.ReservationsQuery, "Reservation"),
    ]  # fmt: skip
    return [
        *(
            Operation(
                "GET", path, id, f"{summary}, by pages", handle, Permission.READS,
                {200: Reply("A page; `next` is the mark of the one that follows.", _page_of(item))}, "lists",
                query=query, problems=(404,) if "pending" in path else (),
            )
            for path, id, summary, handle, query, item in pages
        ),
        Operation("GET", "/v1/board", "getBoard", "How many tasks there are, in columns", lists.get_board,
                  Permission.READS, {200: Reply("Columns.", "Board")}, "lists", query=lists.BoardQuery),
        Operation("GET", "/v1/rates", "getRates", "What ended in each minute, hour or day", lists.get_rates,
                  Permission.READS, {200: Reply("Stretches of time.", _items_of("Rate"))}, "lists",
                  query=lists.RatesQuery),
        Operation("GET", "/v1/audit", "getAudit", "What one actor did, newest first", lists.get_audit,
                  Permission.HISTORY, {200: Reply("A page of commands.", _page_of("Action"))}, "lists",
                  query=lists.AuditQuery),
        Operation("GET", "/v1/actors", "listActors", "Who did anything, by name", lists.list_actors,
                  Permission.HISTORY, {200: Reply("A page of actors.", _page_of("Actor"))}, "lists",
                  query=lists.ActorsQuery),
    ]  # fmt: skip


def _streams() -> list[Operation]:
    return [
        Operation(
            "GET", "/v1/events", "followEvents", "Events as they are recorded", events.follow_events, Permission.READS,
            {200: Reply("Server-sent events; each id is a position.", None, "text/event-stream")},
            "streams",
            "Goes on for ever. Comments come as heartbeats; the event `end` says why the server closes the stream. From"
            " further back than an hour, as it is set, it is a look at the past, which takes the permission `history`.",
            query=events.EventsQuery, headers=(LAST_EVENT_ID,), problems=(404,), timed=False,
        ),
        Operation(
            "GET", "/v1/export", "exportLog", "What was recorded, in a format that others read", exports.export,
            Permission.EXPORT,
            {200: Reply("The export, by the media type of its format.", None, past.JSON_LINES,
                        or_as=("application/json", "application/xml", "text/csv"))},
            "streams", "A connection that is cut before its end has given no whole export.",
            query=exports.ExportQuery, problems=(404, 410), timed=False,
        ),
    ]  # fmt: skip


def _wellbeing() -> list[Operation]:
    said = Reply("It is.", "Wellbeing")
    return [
        Operation("GET", "/health/live", "getLive", "Whether the process does anything", wellbeing.get_live, None,
                  {200: said}, "health"),
        Operation("GET", "/health/ready", "getReady", "Whether requests should be sent here", wellbeing.get_ready,
                  None, {200: said, 503: Reply("It is not; the reason is told.", "Wellbeing")}, "health"),
        Operation("GET", "/health", "getHealth", "All checks", wellbeing.get_health, Permission.READS,
                  {200: Reply("Nothing is unhealthy.", "Health"), 503: Reply("Something is unhealthy.", "Health")},
                  "health", IN_OUTAGES, timed=False, in_outages=True),
        Operation("GET", "/metrics", "getMetrics", "Figures for Prometheus", wellbeing.get_metrics, Permission.READS,
                  {200: Reply("In the text format of Prometheus.", None, "text/plain")}, "health", IN_OUTAGES,
                  in_outages=True),
        Operation("GET", "/problems/{code}", "explainProblem", "What an error means", explain_problem, None,
                  {200: Reply("Its status and title.", "ProblemSort")}, "health", problems=(404,)),
    ]  # fmt: skip


def _path(kind: str) -> str:
    return "/v1/system" if kind == "system" else f"/v1/{kind}s/{{id}}"


def _items_of(schema: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}
    return {"type": "object", "required": ["items"], "properties": {"items": items}}


def _page_of(schema: str) -> dict[str, Any]:
    page = _items_of(schema)
    page["required"].append("next")
    page["properties"]["next"] = {"type": ["string", "null"]}
    return page


OPERATIONS = (*_submissions(), *_states(), *_past(), *_lists(), *_streams(), *_wellbeing())
