"""What there is in a house of the model: plain records, and a refusal.

Written from docs/rules.md; it shares no code with the domain. Records never change, so a moment of the past is a copy
of five dictionaries.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

Amounts = dict[str, str]
KINDS = ("cpu", "memory", "storage", "gpu")
OPEN_WORKFLOW = ("created", "scheduled", "running", "paused")
OPEN_TASK = ("created", "scheduled", "assigned", "running")
BUSY = ("assigned", "running")
FAILED = ("failed", "timed_out")


class Refused(Exception):
    """A command is refused for one of these reasons; where several hold, which of them is told is not promised."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = set(reasons)


def refuse(**found: bool) -> None:
    """Refuse for those reasons that hold."""
    reasons = [reason for reason, holds in found.items() if holds]
    if reasons:
        raise Refused(*reasons)


def exact(quantity: str) -> Fraction:
    """A quantity as Kubernetes writes it, without rounding."""
    number = quantity.rstrip("mkiMG")
    factors = {
        "": Fraction(1),
        "m": Fraction(1, 1000),
        "G": Fraction(10**9),
        "Mi": Fraction(2**20),
        "Gi": Fraction(2**30),
    }
    return Fraction(number) * factors[quantity[len(number) :]]


@dataclass(frozen=True)
class Workflow:
    dependencies: tuple[str, ...] = ()
    satisfied: tuple[str, ...] = ()
    context: dict[str, Any] = field(default_factory=dict)
    completion: str = "automatic"
    on_task_failure: str = "fail"
    max_retries: int = 3
    state: str = "created"
    tasks: tuple[str, ...] = ()
    start_at: datetime | None = None
    planned: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    active_from: datetime | None = None
    """Since when its longest duration counts."""
    error: tuple[str, str | None, datetime] | None = None
    """The message, the task that it was, and when."""
    retries: int = 0
    rollbacks: int = 0

    @property
    def priority(self) -> str:
        return self.context.get("priority") or "medium"


@dataclass(frozen=True)
class Task:
    workflow_id: str
    requires: tuple[str, ...]
    awaits: tuple[str, ...]
    inputs: dict[str, Any]
    wants: Amounts
    capabilities: tuple[str, ...]
    phases: tuple[str, ...]
    limit: float | None
    max_attempts: int
    priority: str
    met: frozenset[str] = frozenset()
    state: str = "created"
    attempt: int = 1
    retries: int = 0
    last_error: str | None = None
    scheduled_at: datetime | None = None
    agent_id: str | None = None
    assigned_at: datetime | None = None
    reason: str | None = None
    pool_id: str | None = None
    reservation_id: str | None = None
    started_at: datetime | None = None
    deadline: datetime | None = None
    estimate: datetime | None = None
    percentage: float = 0.0
    phase: str | None = None
    phases_done: tuple[str, ...] = ()
    note: str | None = None
    memory_peak: str | None = None
    cpu_average: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    ended_at: datetime | None = None

    @property
    def attempts_left(self) -> bool:
        return self.attempt < self.max_attempts

    @property
    def unsettled(self) -> bool:
        """It is open, or waits for a retry."""
        return self.state in OPEN_TASK or (self.state in FAILED and self.attempts_left)

    @property
    def blocked(self) -> bool:
        return not {*self.requires, *self.awaits} <= self.met


@dataclass(frozen=True)
class Slot:
    workflow_id: str
    priority: str
    started_at: datetime | None = None
    estimate: datetime | None = None


@dataclass(frozen=True)
class Agent:
    told: tuple[Any, ...]
    """What it registered as: type, instance, node, capabilities as a set."""
    capabilities: tuple[str, ...]
    slots_at_most: int
    state: str
    health: str
    """What it is when it is not offline."""
    configuration: tuple[str | None, str | None] = (None, None)
    checks: dict[str, str] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    heard: datetime | None = None
    completed: int = 0
    failed: int = 0
    times: tuple[float, ...] = ()


@dataclass(frozen=True)
class Reservation:
    resources: Amounts
    task_id: str | None
    agent_id: str | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Pool:
    total: dict[str, Fraction]
    ratios: dict[str, Fraction]
    weights: dict[str, int]
    reservations: dict[str, Reservation] = field(default_factory=dict)

    def allocated(self, kind: str) -> Fraction:
        return sum((exact(one.resources.get(kind, "0")) for one in self.reservations.values()), Fraction(0))

    @property
    def lends_too_much(self) -> bool:
        return any(self.allocated(kind) > self.total[kind] * self.ratios[kind] for kind in KINDS)


@dataclass(frozen=True)
class Window:
    start: datetime
    end: datetime
    kind: str
    description: str
    blocks: bool


@dataclass(frozen=True)
class System:
    settings: dict[str, Any] = field(default_factory=dict)
    health: dict[str, str] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)

    def blocks_starts(self, now: datetime) -> bool:
        return any(one.blocks and one.start <= now < one.end for one in self.windows.values())


@dataclass(frozen=True)
class Rooms:
    """All that there is at a moment."""

    workflows: dict[str, Workflow] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    system: System | None = None

    def copy(self) -> "Rooms":
        return replace(
            self, workflows={**self.workflows}, tasks={**self.tasks}, agents={**self.agents}, pools={**self.pools}
        )
