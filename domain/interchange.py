"""The names of our own attributes in XES logs: what an export writes and an import understands."""

RECORDED = "dora:recorded"
"""With the first event of a command: JSON, an array of [stream id, type, schema version, data] for each event that was
recorded of a workflow and its tasks. What is longer than an attribute should be goes on in `dora:recorded.2`, ..."""
EVENT = "dora:event"
ACTOR = "dora:actor"
AUTHENTICATED = "dora:authenticated"
CREDENTIAL = "dora:credential"
REASON = "dora:reason"
OCCURRED_AT = "dora:occurred_at"
INFERRED = "dora:inferred"
STATE = "dora:state"
"""Of a trace: the state of its workflow."""
