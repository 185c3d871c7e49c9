"""Mutants of SQL: another operator, number or word, or a statement less, in one place at a time.

The log decides in SQL what is appended, which no mutation tester of Python reaches. What is no code is left alone:
comments, words for people, and rights.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutation.mutants import Change

# What a match becomes; the names of groups are those of `re`.
_SWAPS: tuple[tuple[str, str], ...] = (
    (r"<=", "<"),
    (r">=", ">"),
    (r"<>", "="),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )>(?= )", ">="),
    (r"(?<= )=(?= )", "<>"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<![\w.'$%{:])(?P<number>\d+)(?![\w.'$])", "NEXT"),
    (r"\bAND\b", "OR"),
    (r"\bOR\b(?! REPLACE)", "AND"),
    (r"\bIS NOT (?P<what>NULL|TRUE|FALSE)\b", r"IS \g<what>"),
    (r"\bIS (?P<what>NULL|TRUE|FALSE)\b", r"IS NOT \g<what>"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM"),
    (r"(?<!IS )\bNOT (?=[\w(])(?!NULL\b|FOUND\b)", ""),
    (r"(?<!NOT )\bEXISTS (?=\()", "NOT EXISTS "),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"\bleast\b", "greatest"),
    (r"\bgreatest\b", "least"),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r" DESC\b", ""),
    (r"\bDISTINCT (?!ON\b|FROM\b)", ""),
    (r"\bcoalesce\((?P<what>[\w.\[\] -]+), [^()]+\)", r"\g<what>"),
    (r"(?m)^(?P<before> +)(?:\w+(?:\[\w+\])? := |PERFORM |RETURN NEXT|RETURN QUERY)[^;]*;", r"\g<before>NULL;"),
    (r"(?m)^(?P<before> +)RETURN;", r"\g<before>NULL;"),
)
_COMMENT = re.compile(r"--[^\n]*")
# `refuse_append('...')`, MESSAGE = '...', THEN '...': a text is code only if it has a keyword in it.
_TEXT = re.compile(r"'[^'\n]*'")
_KEYWORD = re.compile(r"\b(?:SELECT|FROM|BEGIN|WHERE|CASE|IF)\b")
_RAISED = re.compile(r"\b(?:ERRCODE|MESSAGE|DETAIL|HINT) =")
_HEAD = re.compile(r"(?m)^(?:REVOKE|GRANT|DROP|CREATE)\b[^;$]*(?:\$|;)")
_BETWEEN = re.compile(r"\bBETWEEN \S+ AND\b")


@dataclass(frozen=True, slots=True)
class MutantText:
    """A script with one change, by a name and as the lines before and after."""

    name: str
    text: str
    change: Change


def mutants_of(name: str, script: str) -> Iterator[MutantText]:
    """All of a script, whose name is such as `infrastructure.sql.functions.append_lock`, in the order of its text."""
    left_alone = [match.span() for pattern in (_COMMENT, _HEAD, _RAISED) for match in pattern.finditer(script)]
    left_alone += [match.span() for match in _TEXT.finditer(script) if not _KEYWORD.search(match[0])]
    between = [match.span() for match in _BETWEEN.finditer(script)]
    found = {
        (match.start(), match.end(), _becomes(match, by))
        for pattern, by in _SWAPS
        for match in re.finditer(pattern, script)
        if not _within(match, left_alone) and not (match[0] == "AND" and _within(match, between))
    }
    for number, (start, end, by) in enumerate(sorted(found), 1):
        changed = script[:start] + by + script[end:]
        first, last = script.rfind("\n", 0, start) + 1, script.find("\n", end)
        was, now = script[first:last], script[first:start] + by + script[end:last]
        yield MutantText(f"{name}.{number}", changed, Change(name, _plain(was), _plain(now)))


def _becomes(match: re.Match[str], by: str) -> str:
    return str(int(match["number"]) + 1) if by == "NEXT" else match.expand(by)


def _within(match: re.Match[str], spans: list[tuple[int, int]]) -> bool:
    return any(start <= match.start() < end for start, end in spans)


def _plain(lines: str) -> str:
    return "\n".join(line.strip() for line in lines.split("\n"))
