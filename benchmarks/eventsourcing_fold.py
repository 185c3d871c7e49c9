"""The peer: an eventsourcing application that gets one aggregate of many events, again and again.

For each line on stdin it answers with the events a second of one `repository.get`.
"""

import sys
import time

import orjson

from benchmarks.eventsourcing_peer import Task, Tasks

AT_ONCE = 500


def main(events: int) -> None:
    application = Tasks()
    task = Task("t-0")
    for step in range(events - 1):
        task.progress(f"round 1, submitter 1, step {step}")
        if step % AT_ONCE == 0:
            application.save(task)
    application.save(task)
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        found: Task = application.repository.get(task.id)
        a_second = found.version / (time.perf_counter() - begun)
        print(orjson.dumps({"a_second": a_second}).decode(), flush=True)
    application.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
