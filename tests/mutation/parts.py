"""What is mutated, and by which tests each part is to be told from its mutants."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Of the code, with its tests. `on_servers`: those need PostgreSQL and Valkey."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]
    on_servers: bool = False


BUS = (
    *("answers", "bus", "committer", "decider", "deciding", "edge", "groups", "landing", "preparing", "redeciding"),
    *("sharing", "soundness", "steps", "under_way", "work"),
)
LOG_TESTS = ("append", "concurrency", "reading", "following")
PROJECTOR = ("projector", "runner", "batch", "changes", "folding", "flights")

PARTS = (
    Part("domain", ("domain/*.py",), ("tests/unit/domain", "tests/unit/commands", "tests/property/domain")),
    Part(
        "bus",
        tuple(f"commands/{name}.py" for name in BUS),
        # What processes do that share streams is tried with real ones only, in test_turns.
        ("tests/unit/commands", "tests/integration/test_bus.py", "tests/integration/test_turns.py"),
        on_servers=True,
    ),
    Part(
        "append",
        ("infrastructure/event_store/*.py",),
        (
            *(f"tests/integration/test_log_{name}.py" for name in LOG_TESTS),
            *(f"tests/integration/test_{name}.py" for name in ("groups", "turns", "direct_connection")),
            "tests/contract/test_event_log_contract.py",
        ),
        on_servers=True,
    ),
    Part(
        "projector",
        (*(f"projections/{name}.py" for name in PROJECTOR), "infrastructure/read_models.py"),
        ("tests/unit/projections", "tests/integration/test_projector.py", "tests/integration/test_read_models.py"),
        on_servers=True,
    ),
)
