"""How the queue of commands is, and whether its broker may carry any."""

from typing import TYPE_CHECKING

from dora_state.health.judging import Check, Figure, Status, graded
from dora_state.settings import Settings
from infrastructure.queue_figures import QueueFigures

if TYPE_CHECKING:
    from infrastructure.command_queue import Fitness

WAITS_LONG, WAITS_TOO_LONG = 30.0, 300.0
NEARLY_FULL = 0.8


async def check_queue(settings: Settings, broker_url: str | None) -> Check:
    """Connects anew; never raises for a broker that is away."""
    if broker_url is None:
        return Check("healthy", "No broker is set, so no command comes by a queue.", {"configured": False})
    from infrastructure.broker import BrokerUnavailable  # here, as dramatiq takes a while to import
    from infrastructure.command_queue import figures, open_broker

    named = settings.broker_url is not None
    try:
        async with open_broker(broker_url, settings.tenant, connections=1) as broker:
            return judge_queue(await broker.fitness(), await figures(broker), named=named)
    except BrokerUnavailable as error:
        return Check("unhealthy", error.message, {"configured": named})


def judge_queue(fitness: "Fitness", found: QueueFigures, *, named: bool) -> Check:
    """`named`: the broker is one of its own, and not only the Redis of the copies."""
    told: dict[str, Figure] = {
        "configured": named,
        "persists": fitness.persists,
        "memory_used": round(fitness.used, 3),
        "waiting": found.waiting,
        "in_hand": found.in_hand,
        "dead": found.dead,
        "delayed": found.delayed,
        "oldest_seconds": None if found.oldest_seconds is None else round(found.oldest_seconds, 3),
    }
    if fitness.unfit_because is not None:
        if named:
            return Check("unhealthy", fitness.unfit_because, told)
        return Check("healthy", "The Redis of the copies may carry no commands, and no broker is set.", told)
    waits = found.oldest_seconds or 0.0
    status = graded(waits, WAITS_LONG, WAITS_TOO_LONG)
    if status != "healthy":
        return Check(status, f"{found.waiting} commands wait in the queue, the next for {waits:.0f} s.", told)
    message = _worth_a_warning(fitness, found, named=named)
    level: Status = "healthy" if message is None else "warning"
    return Check(level, message or f"{found.waiting} commands wait and {found.in_hand} are being carried out.", told)


def _worth_a_warning(fitness: "Fitness", found: QueueFigures, *, named: bool) -> str | None:
    if fitness.used > NEARLY_FULL:
        return f"The broker's memory is full to {fitness.used:.0%}: give it more, or run more workers."
    if found.dead:
        return f"{found.dead} messages of the queue became no command; `dora-state queue list` names them."
    if found.delayed:
        return f"{found.delayed} messages were sent for later, which nobody carries out: send them without a delay."
    if named and not fitness.persists:
        return "The broker keeps no append-only file, so what waits is lost with it: set appendonly yes."
    return None
