"""Names of streams, as they come from outside."""

from typing import Annotated

from pydantic import AfterValidator

from domain.all_events import AGGREGATES
from domain.values import check_id

KINDS = ", ".join(AGGREGATES)


def check_stream(stream_id: str) -> str:
    """The name if it may be that of a stream. Raises ValueError."""
    kind, _, aggregate_id = stream_id.partition("-")
    if kind not in AGGREGATES or not aggregate_id:
        raise ValueError(f"is no stream; write a kind ({KINDS}), - and an id")
    check_id(aggregate_id)
    return stream_id


StreamId = Annotated[str, AfterValidator(check_stream)]
