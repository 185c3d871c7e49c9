"""What a process is asked, by kind: plain numbers, so that counting costs next to nothing."""

import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, get_args

Timed = Literal["projected", "live", "past", "difference", "trace", "timeline", "list", "board", "rates", "audit"]
"""Answered in one piece: states now and of the past, and what else is asked of the read models and of the log."""
Untimed = Literal["cached", "history", "changes", "events", "reconstruction", "export", "follow"]
"""States that this process may have kept, and what is read for as long as the asker likes."""
Kind = Literal[Timed, Untimed]
TIMED: tuple[Timed, ...] = get_args(Timed)
KINDS: tuple[Kind, ...] = (*TIMED, *get_args(Untimed))
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Of what an answer takes, in seconds."""


class Questions:
    """Since the process began, answered or refused. `seconds` and `times` are of the kinds that are timed."""

    def __init__(self) -> None:
        self.counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.seconds: dict[Timed, float] = dict.fromkeys(TIMED, 0.0)
        self.times: dict[Timed, list[int]] = {kind: [0] * (len(BOUNDS) + 1) for kind in TIMED}

    def asked(self, kind: Kind) -> None:
        self.counts[kind] += 1

    def took(self, kind: Timed, seconds: float) -> None:
        self.seconds[kind] += seconds
        self.times[kind][bisect_left(BOUNDS, seconds)] += 1


class Asked(Protocol):
    """Whoever is asked, and counts it."""

    questions: Questions


P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", bound=Asked)
_Method = Callable[Concatenate[A, P], Awaitable[R]]


def counted(kind: Timed) -> Callable[[_Method[A, P, R]], Callable[Concatenate[A, P], Coroutine[Any, Any, R]]]:
    """Of a method that answers one kind of questions: each is counted, and how long it took."""

    def counting(method: _Method[A, P, R]) -> Callable[Concatenate[A, P], Coroutine[Any, Any, R]]:
        @wraps(method)
        async def answer(self: A, /, *given: P.args, **named: P.kwargs) -> R:
            questions, begun = self.questions, time.perf_counter()
            questions.asked(kind)
            try:
                return await method(self, *given, **named)
            finally:
                questions.took(kind, time.perf_counter() - begun)

        return answer

    return counting
