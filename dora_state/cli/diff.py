"""`diff`: what changed between two cuts, of one aggregate or across everything."""

from collections import Counter
from typing import Any

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import NOTHING, when
from dora_state.cli.looking import cut_word, recorded
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.differences import Difference, Side


async def diff(settings: Settings, kind: str, id: str, begin: Cut, end: Cut, output: Output) -> int:
    """Raises NotFound, CutOutOfRange."""
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "diff", f"{kind} {id}", _between(begin, end)) as shown,
    ):
        difference = await manager.diff(kind, id, begin, end)
        shown.rows = len(difference.lines)
    if output.as_json:
        output.json_document(difference_document(difference, whole=True))
        return Exit.DONE
    output.line(f"{kind} {id}: {_side(difference.before)} -> {_side(difference.after)}")
    for line in difference.lines or ["nothing changed"]:
        output.line(f"  {line}")
    return Exit.DONE


async def diff_everything(settings: Settings, begin: Cut, end: Cut, differences: bool, output: Output) -> int:
    """A line for each aggregate that moved, and its difference if asked for. Raises CutOutOfRange, InvalidInput."""
    counts: Counter[tuple[str, str]] = Counter()
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "diff", "everything", _between(begin, end), differences=differences) as shown,
    ):
        async for difference in manager.diff_everything(begin, end):
            shown.rows += 1
            what = _what(difference)
            counts[difference.kind, what] += 1
            if output.as_json:
                output.json_line(difference_document(difference, whole=differences))
                continue
            output.line(f"{difference.kind} {difference.id}  {what}  {_states(difference)}")
            if differences:
                for line in difference.lines:
                    output.line(f"    {line}")
    if not output.as_json:
        output.line(_sum(counts))
    return Exit.DONE


def difference_document(difference: Difference, *, whole: bool) -> dict[str, Any]:
    """For programs; `whole`: with both documents and what turns one into the other."""
    told: dict[str, Any] = {
        "kind": difference.kind,
        "id": difference.id,
        "appeared": difference.appeared,
        "ended": difference.ended,
        "before": _place(difference.before, whole=whole),
        "after": _place(difference.after, whole=whole),
    }
    if whole:
        told |= {"patch": difference.patch, "lines": difference.lines}
    return told


def _between(begin: Cut, end: Cut) -> dict[str, object]:
    return {"from": cut_word(begin), "to": cut_word(end)}


def _place(side: Side | None, *, whole: bool) -> dict[str, Any] | None:
    if side is None:
        return None
    place = {
        "version": side.version,
        "position": side.position,
        "recorded_at": side.recorded_at,
        "state": side.state,
    }
    return place | {"document": side.document} if whole else place


def _side(side: Side | None) -> str:
    return "not there" if side is None else f"v{side.version} of {when(side.recorded_at, fraction=True)}"


def _what(difference: Difference) -> str:
    words = [word for word, is_so in (("appeared", difference.appeared), ("ended", difference.ended)) if is_so]
    return " and ".join(words) or "changed"


def _states(difference: Difference) -> str:
    before, after = difference.before, difference.after
    if before is None and after is not None:
        return f"v{after.version}  {after.state}"
    versions = f"v{before.version if before else 0} -> v{after.version if after else 0}"
    states = [side.state if side else NOTHING for side in (before, after)]
    return f"{versions}  {states[1] if states[0] == states[1] else ' -> '.join(states)}"


def _sum(counts: Counter[tuple[str, str]]) -> str:
    """`2 workflows appeared, 1 changed; 3 tasks ended.`"""
    kinds: dict[str, list[str]] = {}
    for (kind, what), count in sorted(counts.items()):
        kinds.setdefault(kind, []).append(f"{count} {what}")
    told = "; ".join(f"{kind}: {', '.join(some)}" for kind, some in kinds.items())
    return f"{told}." if told else "Nothing changed."
