"""What the tests are run on, each with what it takes; and why one can't be run here."""

from dataclasses import dataclass

from tests.versions import found
from tests.versions.found import Program


@dataclass(frozen=True, slots=True)
class Combination:
    """Releases; None is what the environment of `make test` has: the embedded servers, and its Python."""

    postgres: str | None = None
    redis: str | None = None
    python: str | None = None

    def __str__(self) -> str:
        return ", ".join(
            (
                f"PostgreSQL {self.postgres or '18 (embedded)'}",
                f"Redis {self.redis}" if self.redis else "Valkey 9 (embedded)",
                f"Python {self.python or 'of .venv'}",
            )
        )


@dataclass(frozen=True, slots=True)
class Programs:
    """Of a combination; None where it takes the environment's."""

    postgres: Program | None = None
    redis: Program | None = None
    python: Program | None = None


ALL = (
    Combination(postgres="15", redis="7"),
    Combination(),
    Combination(python="3.12"),
    Combination(python="3.13"),
    Combination(python="3.14"),
)


class NotHere(Exception):
    """What is missing, in a sentence."""


def find(combination: Combination) -> Programs:
    """Raises NotHere."""
    programs = Programs(
        found.postgres(combination.postgres) if combination.postgres else None,
        found.redis(combination.redis) if combination.redis else None,
        found.python(combination.python) if combination.python else None,
    )
    missing = []
    if combination.postgres and programs.postgres is None:
        missing.append(f"PostgreSQL {combination.postgres} ({found.POSTGRES_BIN} names its directory of programs)")
    if combination.redis and programs.redis is None:
        missing.append(f"Redis {combination.redis} ({found.REDIS_SERVER} names the program)")
    if combination.python and programs.python is None:
        missing.append(f"python{combination.python}")
    if missing:
        raise NotHere(f"there is no {' and no '.join(missing)}")
    return programs
