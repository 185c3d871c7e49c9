"""What became of each mutant, in terms that outlive a change of the code around it: the lines before and after."""

import ast
import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Fate = Literal["killed", "timed out", "survived", "not tried"]

# pytest: a test failed, pytest itself did, or the mutant could not even be collected; the operating system: what it
# gave a library written in C made that crash or give up.
_KILLED = {1, 2, 3, -11, -6}
# pytest: all passed, there was nothing to run; mutmut: no test reaches the mutant.
_SURVIVED = {0, 5, 33}
# mutmut: took too long; the operating system: used up its time, and did not heed the first signal of that.
_TIMED_OUT = {36, 24, -24, 152, -9}


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """What distinguishes a mutant: some lines of a function, and what they became."""

    function: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.function}\n" + "".join(
            f"  {sign} {line}\n" for sign, text in (("-", self.was), ("+", self.now)) for line in text.split("\n")
        )


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    change: Change
    fate: Fate


def read_mutants(places: Iterable[Path]) -> list[Mutant]:
    """All that mutmut made, and what became of each: what survived in one folder is as it was found in the next, if it
    was tried there."""
    found: dict[str, Mutant] = {}
    for place in places:
        for one in _read(place):
            if one.name not in found or (found[one.name].fate == "survived" and one.fate != "not tried"):
                found[one.name] = one
    return list(found.values())


def _read(place: Path) -> Iterator[Mutant]:
    """From what mutmut keeps beside the mutated files."""
    for meta in sorted(place.rglob("*.py.meta")):
        fates = json.loads(meta.read_text())["exit_code_by_key"]
        if fates:
            functions = _functions(meta.with_suffix(""))
            for name, code in fates.items():
                yield Mutant(name, _change(name, functions), _fate(code))


def _fate(code: int | None) -> Fate:
    if code in _KILLED:
        return "killed"
    if code in _TIMED_OUT:
        return "timed out"
    return "survived" if code in _SURVIVED else "not tried"


def _functions(mutated: Path) -> dict[str, list[str]]:
    """The lines of each function in a mutated file: mutmut keeps the original beside its mutants."""
    lines = mutated.read_text().splitlines()
    return {
        node.name: [line.strip() for line in lines[node.lineno - 1 : node.end_lineno]]
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _change(name: str, functions: dict[str, list[str]]) -> Change:
    module, _, mutant = name.rpartition(".")
    mangled = mutant.partition("__mutmut_")[0]
    original = f"{mangled}__mutmut_orig"
    before = [line.replace(original, mangled) for line in functions[original]]
    after = [line.replace(mutant, mangled) for line in functions[mutant]]
    told = list(difflib.ndiff(before, after))
    was, now = ("\n".join(line[2:] for line in told if line.startswith(sign)) for sign in ("- ", "+ "))
    return Change(f"{module}.{_plain(mangled)}", was, now)


def _plain(mangled: str) -> str:
    """`x_decide` is a function, `xǁBusǁsubmit` a method."""
    return mangled.removeprefix("x_") if mangled.startswith("x_") else mangled.removeprefix("xǁ").replace("ǁ", ".")
