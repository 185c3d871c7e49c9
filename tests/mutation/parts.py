"""What is mutated, and by which tests each part is to be told from its mutants."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Round:
    """Tests, and whether they need PostgreSQL and Valkey."""

    name: str
    tests: tuple[str, ...]
    on_servers: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Of the code, with its tests: those that need no servers, and those that do, which take far longer."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...] = ()
    on_servers: tuple[str, ...] = ()

    def rounds(self) -> Iterator[Round]:
        """Each is for what has survived the ones before."""
        if self.tests:
            yield Round("alone", self.tests, False)
        if self.on_servers:
            yield Round("on_servers", self.on_servers, True)


BUS = (
    *("answers", "asking", "bus", "committer", "decider", "deciding", "edge", "groups", "landing", "preparing"),
    *("redeciding", "sharing", "soundness", "steps", "transfer", "under_way", "work"),
)
LOG_TESTS = ("append", "concurrency", "reading", "following")
PROJECTOR = ("projector", "runner", "batch", "changes", "folding", "flights")

PARTS = (
    Part("domain", ("domain/*.py",), ("tests/unit/domain", "tests/unit/commands", "tests/property/domain")),
    Part(
        "bus",
        tuple(f"commands/{name}.py" for name in BUS),
        ("tests/unit/commands", "tests/property/commands/test_transfer.py"),
        ("tests/integration/test_bus.py", "tests/integration/test_turns.py"),
    ),
    Part(
        "append",
        ("infrastructure/event_store/*.py",),
        on_servers=(
            *(f"tests/integration/test_log_{name}.py" for name in LOG_TESTS),
            *(f"tests/integration/test_{name}.py" for name in ("groups", "turns", "direct_connection")),
            "tests/contract/test_event_log_contract.py",
        ),
    ),
    Part(
        "projector",
        (*(f"projections/{name}.py" for name in PROJECTOR), "infrastructure/read_models.py"),
        ("tests/unit/projections",),
        ("tests/integration/test_projector.py", "tests/integration/test_read_models.py"),
    ),
)
