"""Systems of the library: several applications that follow each other, each in a schema of its own."""

from uuid import UUID

import pytest
from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.domain import Aggregate, DomainEventProtocol, event
from eventsourcing.system import (
    MultiThreadedRunner,
    NewSingleThreadedRunner,
    ProcessApplication,
    Runner,
    SingleThreadedRunner,
    System,
)

from tests.support.postgres import tenants_of


class Order(Aggregate):
    TOPIC = "order"

    class Created(Aggregate.Created):
        TOPIC = "order_placed"
        number: int

    @event(Created)
    def __init__(self, number: int) -> None:
        self.number = number


class Invoice(Aggregate):
    TOPIC = "invoice"

    class Created(Aggregate.Created):
        TOPIC = "invoice_written"
        number: int

    @event(Created)
    def __init__(self, number: int) -> None:
        self.number = number


class Orders(Application[UUID]):
    pass


class Invoices(ProcessApplication[UUID]):
    def policy(self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]) -> None:
        if isinstance(domain_event, Order.Created):
            processing_event.collect_events(Invoice(domain_event.number))


@pytest.mark.parametrize("runner_class", [SingleThreadedRunner, NewSingleThreadedRunner, MultiThreadedRunner])
async def test_a_follower_writes_one_event_for_each_of_its_leaders(
    library: str, database_url: str, runner_class: type[Runner[UUID]]
) -> None:
    runner = runner_class(System(pipes=[[Orders, Invoices]]))
    runner.start()
    orders, invoices = runner.get(Orders), runner.get(Invoices)
    for number in range(5):
        last = orders.save(Order(number))[-1].notification.id
    invoices.recorder.wait("Orders", last, timeout=10)
    written = [invoices.mapper.to_domain_event(n) for n in invoices.recorder.select_notifications(1, 100)]
    runner.stop()

    assert [one.number for one in written if isinstance(one, Invoice.Created)] == list(range(5))
    assert sorted(await tenants_of(database_url, library)) == [f"{library}_invoices", f"{library}_orders"]
