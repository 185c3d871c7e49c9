"""A light client, in a process of its own: as many connections as asked, each with one request under way.

It reads lines of JSON: `{"port", "connections", "seconds", "what", "of"}`, and answers each with a line. It knows just
enough of HTTP for what our servers send.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import cast

import orjson
import uvloop

Requests = Callable[[int], bytes]
IDLE = b"GET /v1/events?id=nobody-%d HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


class Connection(asyncio.Protocol):
    """Asks again as soon as it is answered, until told to stop."""

    def __init__(self, requests: Requests, number: int) -> None:
        self._requests = requests
        self._number = number
        self._missing = -1
        self._began = 0.0
        self.answered = 0
        self.failed = 0
        self.taken: list[float] = []
        self.going = True
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            head = data.index(b"\r\n\r\n") + 4  # heads are short enough to come whole
            if data[9:10] != b"2":
                self.failed += 1
            place = data.index(b"content-length: ") + 16
            self._missing = head + int(data[place : data.index(b"\r", place)]) - len(data)
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._missing = -1
            self.answered += 1
            self.taken.append(time.perf_counter() - self._began)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        if not self.going:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(self._requests(self._number))


def requests_of(what: str, of: list[str], connections: int, round: int) -> Requests:
    made = count()

    def get(_: int) -> bytes:
        return b"GET %s HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" % of[0].encode()

    def one(number: int) -> bytes:
        step = next(made)
        return _post(of[0], _progress(of[1 + (number + step * connections) % (len(of) - 1)], round, step))

    def hundred(number: int) -> bytes:
        step = next(made)
        first = step * 100
        some = b",".join(
            _progress(of[1 + (first + place) % (len(of) - 1)], round, first + place) for place in range(100)
        )
        return _post(of[0], b"[%s]" % some)

    return {"get": get, "one": one, "hundred": hundred}[what]


def _progress(task_id: str, round: int, step: int) -> bytes:
    data = b'{"task_id":"%s","note":"round %d, step %d"}' % (task_id.encode(), round, step)
    return b'{"type":"ReportProgress","data":%s}' % data


def _post(path: str, body: bytes) -> bytes:
    head = b"POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (path.encode(), len(body)) + body


async def load(asked: dict[str, object], round: int) -> dict[str, object]:
    port, connections, of = int(str(asked["port"])), int(str(asked["connections"])), asked["of"]
    assert isinstance(of, list)
    requests = requests_of(str(asked["what"]), of, connections, round)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    opened: list[tuple[asyncio.BaseTransport, Connection]] = [
        await loop.create_connection(partial(Connection, requests, number), "127.0.0.1", port)
        for number in range(connections)
    ]
    await asyncio.sleep(float(str(asked["seconds"])))
    counted = sum(one.answered for _, one in opened)
    lasted = time.perf_counter() - begun
    for _, one in opened:
        one.going = False
    await asyncio.gather(*(one.done for _, one in opened))
    taken = sorted(time for _, one in opened for time in one.taken)
    return {
        "rate": counted / lasted,
        "failed": sum(one.failed for _, one in opened),
        "p50": taken[len(taken) // 2],
        "p99": taken[len(taken) * 99 // 100],
    }


class Idle(asyncio.Protocol):
    """A stream of events of which none is wanted."""

    def __init__(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(data)


async def idle(port: int, streams: int) -> list[asyncio.BaseTransport]:
    loop = asyncio.get_running_loop()
    opened: list[asyncio.BaseTransport] = []
    for number in range(streams):
        transport, stream = await loop.create_connection(Idle, "127.0.0.1", port)
        transport.write(IDLE % number)
        await stream.heard
        opened.append(transport)
    return opened


async def main() -> None:
    kept: list[asyncio.BaseTransport] = []
    for round in count():
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line.strip():
            return
        asked = orjson.loads(line)
        if asked["what"] == "idle":
            kept += await idle(asked["port"], asked["connections"])
            told: dict[str, object] = {"streams": len(kept)}
        elif asked["what"] == "close":
            for one in kept:
                one.close()
            kept, told = [], {}
        else:
            told = await load(asked, round)
        print(orjson.dumps(told).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
