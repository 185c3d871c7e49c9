"""Events that a document could not take: what there is, and what is done about it by whoever projects."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.errors import NotFound
from domain.log import Cut
from domain.text import is_text
from dora_state.platform import Platform
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode
from projections.errors import NotProjectedYet
from projections.ports import Asked, Parked

PAGE = 500
PATIENCE = 60.0
"""Seconds that whoever projects has for what was asked."""


@dataclass(frozen=True, slots=True)
class ParkedInFull:
    """With the event as it was recorded (its data as text where it is no JSON), and the document as it stands."""

    parked: Parked
    event: Any
    metadata: Any
    document: Document | None


async def show(platform: Platform, stream_id: str) -> ParkedInFull:
    """Raises NotFound for a stream of which nothing is parked."""
    parked = await _first(platform, stream_id)
    stream = platform.log.read_stream(
        stream_id, after_version=parked.version - 1, cut=Cut(version=parked.version), limit=1
    )
    (record,) = [record async for record in stream]
    kind, _, id = stream_id.partition("-")
    stored = await platform.read_models.document(kind, id) if kind in RENDERINGS else None
    document = None if stored is None else decode(stored.body)
    return ParkedInFull(parked, _json(record.data), _json(record.metadata), document)


async def ask(platform: Platform, what: Asked, stream_ids: Sequence[str] | None) -> tuple[list[str], list[Parked]]:
    """Retry or drop what was parked of these streams, or of all; gives the streams, and what is parked of them now.

    Raises NotFound for a stream of which nothing is parked, NotProjectedYet where it takes too long.
    """
    for stream_id in stream_ids or ():
        await _first(platform, stream_id)
    asked = await platform.read_models.ask(what, stream_ids)
    try:
        async with asyncio.timeout(PATIENCE):
            while any([await _is_waiting(platform, stream_id) for stream_id in asked]):
                # We do it, unless a worker is there that does.
                await platform.projector.run_once()
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise NotProjectedYet(
            f"Nobody has come to it within {PATIENCE:g} s; it stays asked for, and is done by the next who projects."
        ) from None
    finally:
        await platform.projector.release()
    left = [one for stream_id in asked for one in await platform.read_models.dead_letters(stream_id=stream_id, limit=1)]
    return asked, left


async def _is_waiting(platform: Platform, stream_id: str) -> bool:
    return any(one.asked for one in await platform.read_models.dead_letters(stream_id=stream_id, limit=1))


async def _first(platform: Platform, stream_id: str) -> Parked:
    """Raises NotFound."""
    found = await platform.read_models.dead_letters(stream_id=stream_id, limit=1) if is_text(stream_id) else []
    if not found:
        raise NotFound(
            f"Nothing of {stream_id} is among the dead letters; `dora-state dead-letters list` names what is.",
            stream_id=stream_id,
        )
    return found[0]


def _json(stored: bytes) -> Any:
    try:
        return orjson.loads(stored)
    except orjson.JSONDecodeError:
        return stored.decode(errors="backslashreplace")
