"""What the commands on a resource pool do."""

from datetime import timedelta
from decimal import Decimal

import pytest

from commands.messages import Command
from commands.messages import pool as pools
from commands.messages.transaction import Transaction
from domain.pool import Reservation
from tests.support.command_world import World, assign, create_pool, envelope, running_world


def world_with_pool() -> World:
    world = World()
    world.given(create_pool(cpu="4"))
    return world


@pytest.mark.parametrize(
    "command",
    [
        pools.ResizePool(pool_id="pool", total={"cpu": "1"}),
        pools.ChangePolicies(pool_id="pool", overcommit={"cpu": Decimal(2)}),
        pools.Reserve(pool_id="pool", resources={"cpu": "1"}),
        pools.Release(pool_id="pool", reservation_id="r"),
        pools.ExpireReservations(pool_id="pool"),
    ],
    ids=lambda command: command.type,
)
def test_a_pool_that_is_not_there_is_refused(command: Command) -> None:
    World().refuse(command, "unknown_id")


def test_a_pool_is_created_once() -> None:
    world = World()
    world.accept(
        pools.CreatePool(pool_id="pool", total={"cpu": "1", "memory": "4Gi"}, overcommit={"cpu": Decimal("1.5")},
                         priority_weights={"low": 2})
    )  # fmt: skip
    assert world.pool().total == {"cpu": 1, "memory": 4 * 1024**3}
    assert world.pool().limit("cpu") == Decimal("1.5")
    assert world.pool().priority_weights == {"high": 10, "medium": 5, "low": 2}
    world.refuse(create_pool(), "pool_exists")


def test_a_pool_never_lends_more_than_it_may() -> None:
    world = world_with_pool()
    world.given(pools.Reserve(pool_id="pool", resources={"cpu": "3500m"}))
    one = pools.Reserve(pool_id="pool", resources={"cpu": "1"})

    world.refuse(one, "pool_exhausted")
    world.refuse(pools.Reserve(pool_id="pool", resources={"gpu": "1"}), "pool_exhausted")
    policies = pools.ChangePolicies(pool_id="pool", overcommit={"cpu": Decimal("1.5")}, priority_weights={"low": 0})
    world.accept(policies)
    world.unchanged(policies)
    world.accept(one)
    world.refuse(pools.ChangePolicies(pool_id="pool", overcommit={"cpu": Decimal(1)}), "pool_exhausted")
    world.refuse(pools.ResizePool(pool_id="pool", total={"cpu": "2"}), "pool_exhausted")
    world.accept(pools.ResizePool(pool_id="pool", total={"cpu": "3"}))
    world.unchanged(pools.ResizePool(pool_id="pool", total={"cpu": "3000m"}))
    assert world.pool().allocated["cpu"] == Decimal("4.5")


def test_a_reservation_has_an_id_that_follows_from_the_commands_and_is_released_once() -> None:
    world = world_with_pool()
    given = envelope(pools.Reserve(pool_id="pool", resources={"cpu": "2"}, agent_id="agent"))
    world.commit(given, given)

    reservation_id = f"res-{given.command_id}-1"
    assert world.pool().reservations == {reservation_id: Reservation({"cpu": "2"}, world.clock(), agent_id="agent")}
    release = pools.Release(pool_id="pool", reservation_id=reservation_id)
    world.accept(release)
    world.unchanged(release)
    assert world.pool().allocated["cpu"] == 0


def test_each_reservation_of_one_command_has_an_id_of_its_own() -> None:
    world = world_with_pool()
    reserve = pools.Reserve(pool_id="pool", resources={"cpu": "1"})
    world.accept(Transaction(commands=(reserve, reserve, reserve)))
    assert len(world.pool().reservations) == 3
    assert world.pool().allocated["cpu"] == 3


def test_what_a_task_holds_is_released_with_the_task_alone() -> None:
    world = running_world("t1")
    world.given(assign("t1", pool_id="pool"))

    world.refuse(
        pools.Release(pool_id="pool", reservation_id=str(world.task("t1").reservation_id)), "reservation_of_task"
    )


def test_a_reservation_without_a_task_expires_alone_and_once() -> None:
    world = world_with_pool()
    soon = world.clock() + timedelta(seconds=60)
    world.refuse(
        pools.Reserve(pool_id="pool", resources={"cpu": "1"}, expires_at=world.clock()), "reservation_in_the_past"
    )
    world.given(
        pools.Reserve(pool_id="pool", resources={"cpu": "1"}, expires_at=soon),
        pools.Reserve(pool_id="pool", resources={"cpu": "2"}),
    )
    expire = pools.ExpireReservations(pool_id="pool")

    world.unchanged(expire)
    world.clock.now = soon
    world.accept(expire)
    world.unchanged(expire)
    assert world.pool().allocated["cpu"] == 2
