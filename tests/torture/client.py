"""A client in a process of its own: `python -m tests.torture.client KIND NAME SEED FILE`, with its place by stdin.

It ends when its stdin does.
"""

import asyncio
import random
import signal
import sys
from pathlib import Path

import orjson

from domain.errors import DoraStateError
from dora_state.testing.history import Recorder
from tests.torture import counters, own_writes, readers
from tests.torture.writers import Place, Writer, way

WRITERS = ("python", "http", "queue", "counter", "distant-counter")
TELL = signal.SIGUSR1
READERS = ("follower", "listener", "own-writes", "moments")


async def run(kind: str, name: str, seed: int, path: Path) -> None:
    place = Place(**orjson.loads(sys.stdin.readline()))
    stop, chance = asyncio.Event(), random.Random(seed)
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), leave)
    loop.add_signal_handler(TELL, tell)
    with Recorder(path) as record:
        match kind:
            case "follower":
                await readers.follow_in_process(place, name, path, record, stop)
            case "listener":
                await readers.follow_over_http(place, name, path, record, stop)
            case "own-writes":
                await own_writes.read_own_writes(place, name, record, chance, stop)
            case "moments":
                await readers.read_moments(place, name, record, chance, stop)
            case "counter":
                await counters.count_in_process(place, name, record, stop)
            case "distant-counter":
                await counters.count_over_http(place, name, record, stop)
            case _:
                async with way(kind, place) as chosen:
                    await Writer(name, chosen, record, chance).write(stop)


def tell() -> None:
    """What it waits for, where it does not leave."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=8)


def main(arguments: list[str]) -> int:
    """Whoever runs it begins it again. What is no error of ours is a fault of the house, and leaves its traceback."""
    kind, name, seed, path = arguments
    ended: list[BaseException] = []
    try:
        asyncio.run(run(kind, name, int(seed), Path(path)))
    except* DoraStateError as group:
        ended += group.exceptions
    for error in ended:
        sys.stderr.write(f"It ends for this: {error!r}\n")
    return 1 if ended else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
