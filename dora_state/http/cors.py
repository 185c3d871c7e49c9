"""Which pages of browsers may ask, and what: all that the operations take and tell, and no more."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from dora_state.http.operations import Operation

ASKED = ("Authorization", "Content-Type", "traceparent")
"""Headers that any operation takes."""
TOLD = (
    "Content-Disposition", "ETag", "Idempotent-Replayed", "Location", "Preference-Applied", "Retry-After",
    "WWW-Authenticate", "X-Correlation-Id", "X-Until-Position",
)  # fmt: skip


def allow_origins(app: FastAPI, origins: Sequence[str], operations: Sequence[Operation]) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=sorted({operation.method for operation in operations}),
        allow_headers=sorted({*ASKED, *(header.name for operation in operations for header in operation.headers)}),
        expose_headers=list(TOLD),
    )
