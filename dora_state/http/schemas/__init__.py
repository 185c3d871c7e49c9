"""The schemas of the OpenAPI document."""

from dora_state.http.schemas.answers import answers
from dora_state.http.schemas.commands import commands
from dora_state.http.schemas.documents import documents
from dora_state.http.schemas.lists import lists
from dora_state.http.schemas.past import past
from dora_state.http.schemas.words import REF, Schema

__all__ = ["REF", "schemas"]


def schemas() -> dict[str, Schema]:
    return dict(sorted((documents() | answers() | past() | lists() | commands()).items()))
