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
    files: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    on_servers: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()
    """Scripts: where there are some, there are no other files, and they are tried `on_servers`, in this order."""

    def rounds(self) -> Iterator[Round]:
        """Each is for what has survived the ones before."""
        if self.tests:
            yield Round("alone", self.tests, False)
        if self.on_servers and not self.sql:
            yield Round("on_servers", self.on_servers, True)


BUS = (
    *("answers", "asking", "bus", "committer", "decider", "deciding", "edge", "groups", "landing", "preparing"),
    *("redeciding", "sharing", "soundness", "steps", "transfer", "under_way", "work"),
)
APPEND = ("__init__", "appender", "arrays", "binary", "direct", "errors", "group")
APPEND_SQL = (
    *("accepted_commands", "append_closely", "append_lock", "append_times", "check_claims", "head_condition"),
    *("has_month", "head_items", "insert_statements", "is_clean", "judge_commands", "live_locks", "live_places"),
    *("locked_out", "lone_condition", "lone_statement", "make_append", "make_month", "older_versions"),
    *("open_months", "point_to_open_month", "record_group", "record_streams", "refuse_append"),
)
SQL = "infrastructure/sql"
LOG_TESTS = ("bad_input", "time", "concurrency", "reading", "following")
WRITTEN = (
    *("add_rates", "answer_dead_letters", "asked_dead_letters", "count_states", "count_tasks", "counts"),
    *("forget_attempts", "forget_completions", "forget_dead_letters", "forget_kept_counts", "forget_reservations"),
    *("held", "insert_attempts", "insert_completions", "insert_dead_letters", "insert_reservations", "keep_counts"),
    *("parked", "upsert_agents", "upsert_pools", "upsert_systems", "upsert_tasks", "upsert_workflows"),
)
LEADING = ("end_lead", "find", "keep_lead", "lock", "move", "take_lead", "try_lock", "unlock")
PROJECTOR_TESTS = (
    "leading",
    "read_model_writer",
    "documents_written",
    "projector",
    "dead_letters",
    "read_models",
    "read_models_lists",
    "rates",
    "actions",
)
PROJECTOR = (
    *(f"projections/{name}.py" for name in ("projector", "runner", "folding", "states", "attempts")),
    *(f"infrastructure/{name}.py" for name in ("read_model_writer", "derived", "leading")),
)

CHECKER = ("checker", "claims", "contents", "history", "invariants", "moves", "onlookers", "recorded", "rollbacks")

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
        tuple(f"infrastructure/event_store/{name}.py" for name in APPEND),
        ("tests/unit/event_store",),
        on_servers=(
            *(
                f"tests/integration/test_log_{name}.py"
                for name in ("append", "import", "months", "archive", *LOG_TESTS)
            ),
            *(f"tests/integration/test_{name}.py" for name in ("groups", "direct_connection", "locks_within")),
            "tests/contract/test_event_log_contract.py",
        ),
    ),
    Part(
        "append-sql",
        sql=tuple(f"{SQL}/functions/{name}.sql" for name in APPEND_SQL),
        on_servers=(
            *(f"tests/integration/test_{name}.py" for name in ("append_ways", "log_append", "locks_that_count")),
            "tests/contract/test_event_log_contract.py",
            *(f"tests/integration/test_log_{name}.py" for name in ("time", "import", "bad_input", "months", "archive")),
            *(f"tests/integration/test_{name}.py" for name in ("groups", "locks_within", "log_model")),
            "tests/integration/test_log_concurrency.py",
        ),
    ),
    Part(
        "checker",
        tuple(f"dora_state/testing/{name}.py" for name in CHECKER),
        ("tests/unit/testing", "tests/property/testing"),
    ),
    Part(
        "projector",
        PROJECTOR,
        ("tests/unit/projections",),
        tuple(f"tests/integration/test_{name}.py" for name in PROJECTOR_TESTS),
    ),
    Part(
        "projector-sql",
        sql=(
            *(f"{SQL}/queries/read_models/{name}.sql" for name in WRITTEN),
            *(f"{SQL}/queries/checkpoints/{name}.sql" for name in LEADING),
        ),
        on_servers=(
            *(f"tests/integration/test_{name}.py" for name in PROJECTOR_TESTS),
            "tests/integration/test_projection_of_any_commands.py",
        ),
    ),
)
