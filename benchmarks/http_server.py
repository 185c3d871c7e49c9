"""The server that `benchmarks.http` asks, in a process of its own: ours, or the bare framework.

`python -m benchmarks.http_server ours|bare SIZE`: tells its port and ids of tasks on a line, ends with its stdin.
"""

import asyncio
import sys

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.submitters import Load
from dora_state.access.opening import open_access
from dora_state.http.serving import listening, make_server, run
from dora_state.memory import spare_the_collector
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager

WORKFLOW = "read-me"
ANSWER = orjson.dumps({"status": 200, "outcome": "accepted", "filled": "x" * 200})


async def ours(tasks: int) -> None:
    settings = load_settings()
    async with (
        open_state_manager(settings, default_actor="bench", warm=True) as manager,
        open_access(settings, manager.platform.servers) as access,
    ):
        load = Load(manager, "http")
        await load.register("http-a")
        made = await load.make_tasks(tasks, running=True)
        document = await _document(manager)
        stop, projecting_stops = asyncio.Event(), asyncio.Event()
        await manager.catch_up()
        spare_the_collector()
        with listening("127.0.0.1", 0) as listener:
            serving = asyncio.create_task(run(make_server(manager, access), listener, stop))
            _tell({"port": listener.getsockname()[1], "tasks": made, "document_bytes": len(orjson.dumps(document))})
            projecting: asyncio.Task[None] | None = None
            while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
                # Copies are kept only while somebody projects; the write side is measured without, as elsewhere.
                if line == "project":
                    projecting = asyncio.create_task(manager.platform.projector.run(projecting_stops))
                    while manager.platform.caches.near.peek("workflow", WORKFLOW) is None:
                        await manager.state("workflow", WORKFLOW, consistency="cached")
                        await asyncio.sleep(0.01)
                elif projecting is not None:
                    projecting_stops.set()
                    await projecting
                _tell({})
            stop.set()
            await serving


async def _document(manager: StateManager) -> dict[str, object]:
    """A workflow with eight tasks."""
    about = {"workflow_id": WORKFLOW}
    await manager.submit({"type": "CreateWorkflow", "data": about | {"definition_id": "bench"}})
    for number in range(8):
        task = {"task_id": f"{WORKFLOW}-{number}", "definition_id": "bench"}
        await manager.submit({"type": "AddTask", "data": about | task})
    return await manager.state("workflow", WORKFLOW, live=True)


async def bare(size: int) -> None:
    """What the framework does at best: nothing is asked of it but to read the request and to send some bytes."""
    app = FastAPI(openapi_url=None)
    document = orjson.dumps({"filled": "x" * size})

    @app.get("/bare/{id}")
    async def read(id: str) -> Response:
        return Response(document, media_type="application/json")

    @app.post("/bare")
    async def write(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json")

    config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with listening("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        _tell({"port": listener.getsockname()[1]})
        await asyncio.to_thread(sys.stdin.readline)
        server.should_exit = True
        await serving


def _tell(value: object) -> None:
    print(orjson.dumps(value).decode(), flush=True)


if __name__ == "__main__":
    which = ours if sys.argv[1] == "ours" else bare
    uvloop.run(which(int(sys.argv[2])))
