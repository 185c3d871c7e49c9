"""What is mutated, and by which tests each part is to be told from its mutants."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Of the code, with its tests. `on_servers`: those need PostgreSQL and Valkey."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]
    on_servers: bool = False


PARTS = (Part("domain", ("domain/*.py",), ("tests/unit/domain", "tests/unit/commands", "tests/property/domain")),)
