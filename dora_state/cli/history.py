"""`history`: the versions of one aggregate, streamed."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import by_whom, when
from dora_state.cli.looking import cut_facts, recorded
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.history import HistoryEntry, HistoryFilter


async def history(
    settings: Settings,
    kind: str,
    id: str,
    cut: Cut,
    only: HistoryFilter,
    output: Output,
    *,
    after_version: int = 0,
    newest_first: bool = False,
    limit: int | None = None,
) -> int:
    """Raises NotFound, CutOutOfRange."""
    versions = 0
    looked_at = cut_facts(cut, after_version=after_version or None)
    asked = asdict(only) | {"types": sorted(only.types) or None, "newest_first": newest_first, "limit": limit}
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "history", f"{kind} {id}", looked_at, **asked) as shown,
    ):
        async for entry in manager.history(
            kind, id, cut=cut, after_version=after_version, only=only, newest_first=newest_first, limit=limit
        ):
            shown.rows += 1
            if output.as_json:
                output.json_line(entry_document(entry))
            else:
                for line in entry_lines(entry):
                    output.line(line)
        if not shown.rows:
            versions = await manager.version(kind, id)
    if not shown.rows:
        say(f"No version of {kind} {id} is like that; it has versions 1 to {versions}.")
    return Exit.DONE


def entry_document(entry: HistoryEntry) -> dict[str, Any]:
    """One version as JSON, the patch by RFC 6902."""
    return asdict(entry)


def entry_lines(entry: HistoryEntry) -> list[str]:
    """One version for people: who did what when, and what changed by it."""
    at = when(entry.recorded_at, fraction=True)
    who = by_whom(entry.actor or "unknown", entry.authenticated, entry.credential)
    lines = [f"v{entry.version}  {at}  {entry.type}", f"    position {entry.position}, by {who}"]
    if entry.occurred_at is not None:
        lines.append(f"    occurred: {when(entry.occurred_at, fraction=True)}")
    if entry.reason is not None:
        lines.append(f"    reason: {entry.reason}")
    if "restored" in entry.data:
        lines.append(f"    {_rollback(entry.data)}")
    lines += [f"    {line}" for line in entry.lines]
    return lines


def _rollback(data: Mapping[str, Any]) -> str:
    """What a rollback went back to, where its event tells, and who was responsible for it."""
    back = f"rolled back to version {data['to_version']}" if "to_version" in data else "rolled back"
    return f"{back}, operator {data['operator']}"
