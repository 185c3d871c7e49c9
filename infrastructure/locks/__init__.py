"""Locks in PostgreSQL: who waits and who holds stands in tables, with the fencing token that `append` looks at."""

from infrastructure.locks.adapter import PostgresLocks
from infrastructure.locks.figures import BOUNDS, LockFigures

__all__ = ["BOUNDS", "LockFigures", "PostgresLocks"]
