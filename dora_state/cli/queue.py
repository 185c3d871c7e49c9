"""`queue`: how the queue of commands is, and the messages that became no command."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from domain.errors import InvalidInput
from dora_state.cli.exits import Exit
from dora_state.cli.formats import facts, number, when
from dora_state.cli.output import Output, say
from dora_state.health.queue import judge_queue
from dora_state.queue import dead_letters
from dora_state.servers import open_servers
from dora_state.settings import Settings
from infrastructure.command_queue import CommandBroker, DeadCommand, figures, open_broker

Do = Callable[[CommandBroker, Sequence[str] | None], Awaitable[int]]


@asynccontextmanager
async def _broker(settings: Settings) -> AsyncIterator[CommandBroker]:
    """Raises InvalidInput where there is none."""
    async with open_servers(settings, say) as servers:
        if servers.broker_url is None:
            raise InvalidInput("There is no queue without a broker; name one in DORA_STATE_BROKER_URL.")
        async with open_broker(servers.broker_url, settings.tenant) as broker:
            yield broker


async def status(settings: Settings, output: Output) -> int:
    """What waits, is in hand and is dead; 1 for a warning, 4 where it takes none. Raises BrokerUnavailable."""
    async with _broker(settings) as broker:
        check = judge_queue(await broker.fitness(), await figures(broker), named=True)
    if output.as_json:
        output.json_document({"status": check.status, "message": check.message, **check.figures})
    else:
        output.line(check.message)
        names = ("waiting", "oldest_seconds", "in_hand", "dead", "delayed", "persists", "memory_used")
        output.show(facts({name.replace("_", " "): _told(check.figures[name]) for name in names}))
    return {"healthy": Exit.DONE, "warning": Exit.REFUSED, "unhealthy": Exit.UNAVAILABLE}[check.status]


def _told(figure: object) -> str | None:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return number(figure) if isinstance(figure, int | float) else None


async def list_them(settings: Settings, output: Output) -> int:
    """A line for each dead letter, the oldest first; 1 if there is one."""
    count = 0
    async with _broker(settings) as broker:
        async for one in dead_letters.dead_letters(broker):
            count += 1
            _tell(one.dead, output)
    if not output.as_json:
        output.line(f"{number(count)} messages became no command." if count else "Every message became a command.")
    return Exit.REFUSED if count else Exit.DONE


async def show(settings: Settings, id: str, output: Output) -> int:
    """Raises NotFound."""
    async with _broker(settings) as broker:
        found = await dead_letters.show(broker, id)
    if output.as_json:
        output.json_document({"dead": _document(found.dead), "message": found.message})
        return Exit.DONE
    _tell(found.dead, output)
    output.line("message:")
    output.value(found.message)
    return Exit.DONE


async def do(settings: Settings, what: str, ids: Sequence[str] | None, output: Output) -> int:
    """`retry` or `drop`. Raises NotFound."""
    carry_out: Do = dead_letters.retry if what == "retry" else dead_letters.drop
    async with _broker(settings) as broker:
        count = await carry_out(broker, ids)
    if output.as_json:
        output.json_document({"asked": what, "messages": count})
    else:
        output.line(f"{number(count)} messages {'wait again' if what == 'retry' else 'were dropped'}.")
    return Exit.DONE


def _document(one: DeadCommand) -> dict[str, object]:
    """With the id as text."""
    told = asdict(one)
    return told | {"id": told.pop("name")}


def _tell(one: DeadCommand, output: Output) -> None:
    if output.as_json:
        output.json_line(_document(one))
        return
    tries = "" if one.attempts == 0 else f", tried {number(one.attempts)} times"
    output.line(f"{one.name}  {one.type or 'unreadable'}  since {when(one.died_at)}{tries}")
    output.line(f"  {one.reason}")
