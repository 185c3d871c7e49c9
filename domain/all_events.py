"""All aggregates and the catalogue of all their events."""

from typing import Any

from domain.agent import AGENT
from domain.aggregate import Aggregate
from domain.catalogue import EventCatalogue
from domain.pool import POOL
from domain.system import SYSTEM
from domain.task import TASK
from domain.workflow import WORKFLOW

AGGREGATES: dict[str, Aggregate[Any]] = {
    aggregate.category: aggregate for aggregate in (WORKFLOW, TASK, AGENT, POOL, SYSTEM)
}
CATALOGUE = EventCatalogue(event for aggregate in AGGREGATES.values() for event in aggregate.events)
