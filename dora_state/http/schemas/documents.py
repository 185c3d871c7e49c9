"""The five documents, as docs/read-models.md has them and `projections/documents/` renders them."""

from dora_state.http.schemas.fleet import fleet
from dora_state.http.schemas.system import system
from dora_state.http.schemas.words import Schema, ref
from dora_state.http.schemas.work import work


def documents() -> dict[str, Schema]:
    names = ("Workflow", "Task", "Agent", "Pool", "StoredSystem")
    return work() | fleet() | system() | {"Document": {"anyOf": [ref(name) for name in names]}}
