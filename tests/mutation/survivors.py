"""What may survive, each with its reason in `survivors.toml`, and what a run says against that."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Change, Mutant

FILE = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, slots=True)
class Known:
    """`left_out`: patterns of lines that are not mutated; `explained`: survivors, each with why it may be."""

    left_out: Mapping[str, str]
    explained: Mapping[Change, str]


def read_known(text: str) -> Known:
    """Raises ValueError for an entry without a reason, or one that is there twice."""
    told = tomllib.loads(text)
    left_out = {entry["pattern"]: entry["why"].strip() for entry in told.get("left_out", [])}
    pairs = [
        (Change(entry["function"], entry["was"], now), entry["why"].strip())
        for entry in told.get("survivor", [])
        for now in ([entry["now"]] if isinstance(entry["now"], str) else entry["now"])
    ]
    twice = [change for change, times in Counter(change for change, _ in pairs).items() if times > 1]
    if twice:
        raise ValueError(f"explained twice: {twice[0]}")
    explained = dict(pairs)
    for what, why in [*left_out.items(), *explained.items()]:
        if not why:
            raise ValueError(f"no reason is given for {what}")
    return Known(left_out, explained)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run found: figures, what nobody has explained, and what is explained though it is not there."""

    fates: Mapping[str, int]
    explained: int
    unexplained: tuple[Mutant, ...]
    untried: tuple[Mutant, ...]
    gone: tuple[Change, ...]
    """Explanations of mutants that there are none of any more."""
    killed_now: tuple[Change, ...]
    """Explanations that no survivor needs: a test has come to kill it, or it took too long this time."""

    @property
    def is_good(self) -> bool:
        return bool(self.fates) and not (self.unexplained or self.untried or self.gone)

    def __str__(self) -> str:
        return (
            f"{sum(self.fates.values())} mutants, {self.fates.get('killed', 0)} killed by a test,"
            f" {self.fates.get('timed out', 0)} by running too long, {self.explained} survived and are explained,"
            f" {len(self.unexplained)} survived and are not"
        )


def judge(mutants: Iterable[Mutant], explained: Mapping[Change, str], whole: bool = True) -> Verdict:
    """`whole`: all mutants of some files were tried, so that what is explained of these files and is not there is
    gone."""
    tried = [mutant for mutant in mutants if whole or mutant.fate != "not tried"]
    survived = [mutant for mutant in tried if mutant.fate == "survived"]
    there = {mutant.change for mutant in tried}
    modules = {mutant.name.rpartition(".")[0] for mutant in tried}
    ours = [change for change in explained if _module(change, modules)] if whole else []
    left = {mutant.change for mutant in survived}
    return Verdict(
        Counter(mutant.fate for mutant in tried),
        sum(mutant.change in explained for mutant in survived),
        tuple(mutant for mutant in survived if mutant.change not in explained),
        tuple(mutant for mutant in tried if mutant.fate == "not tried"),
        tuple(change for change in ours if change not in there),
        tuple(change for change in ours if change in there and change not in left),
    )


def _module(change: Change, modules: set[str]) -> bool:
    """Whether it is of one of these: a function's name has its module's in front, and perhaps its class's; a script
    of SQL is both.
    """
    return any(change.function.rsplit(".", parts)[0] in modules for parts in (0, 1, 2))
