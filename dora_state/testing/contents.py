"""What a document says, whoever shows it and whenever: readers write a digest of it down, the checker makes its own."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

_OF_THE_MOMENT: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "agent": (
        ("last_heartbeat",),
        ("resource_usage",),
        ("capacity", "processing_rate"),
        ("capacity", "queue_size"),
    ),
    "task": (("execution_metrics", "execution_time"), ("audit_trail",), ("audit_trail_omitted",)),
}
"""What is joined when a document is read."""


def content(kind: str, document: Mapping[str, Any]) -> str:
    """Of the document of a workflow, a task, an agent or a pool; the system's is of the moment but for little of it."""
    kept = dict(document)
    for *within, key in _OF_THE_MOMENT.get(kind, ()):
        place = kept
        for name in within:
            place[name] = dict(place[name])
            place = place[name]
        place.pop(key, None)
    return blake2b(json.dumps(kept, sort_keys=True).encode(), digest_size=8).hexdigest()
