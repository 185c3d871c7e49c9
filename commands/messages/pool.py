"""Commands that name a resource pool."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from commands.messages.base import Command
from domain.pool import POOL, Ratio, Weight
from domain.values import Id, Priority, ResourceKind, Resources, Text, Time


def _exact(value: Any) -> Any:
    """A JSON number as the decimal that was written, not as the nearest binary fraction."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


Overcommit = dict[ResourceKind, Annotated[Ratio, BeforeValidator(_exact)]]
Weights = dict[Priority, Weight]
SomeResources = Annotated[Resources, Field(min_length=1)]


class PoolCommand(Command):
    aggregate: ClassVar = POOL
    key: ClassVar = "pool_id"

    pool_id: Id


class CreatePool(PoolCommand):
    type: ClassVar = "CreatePool"
    total: SomeResources
    overcommit: Overcommit = {}
    priority_weights: Weights = {}


class ResizePool(PoolCommand):
    type: ClassVar = "ResizePool"
    total: SomeResources


class ChangePolicies(PoolCommand):
    type: ClassVar = "ChangePolicies"
    overcommit: Overcommit = {}
    priority_weights: Weights = {}


class Reserve(PoolCommand):
    """Reserve resources for something that is no task; the reservation's id follows from the command's."""

    type: ClassVar = "Reserve"
    resources: SomeResources
    agent_id: Id | None = None
    expires_at: Time | None = None


class Release(PoolCommand):
    type: ClassVar = "Release"
    reservation_id: Id
    reason: Text = "released"


class ExpireReservations(PoolCommand):
    """End the reservations whose time has come, and time out their tasks."""

    type: ClassVar = "ExpireReservations"
