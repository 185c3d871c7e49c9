"""The peer: an eventsourcing application that records the progress of tasks, from several threads."""

import sys
import threading
import time
from uuid import UUID

import orjson
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Task(Aggregate):
    @event("Created")
    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.note = ""

    @event("Progressed")
    def progress(self, note: str) -> None:
        self.note = note


class Tasks(Application[UUID]):
    is_snapshotting_enabled = False


def main(threads: int, seconds: float) -> None:
    application = Tasks()
    counts = [0] * threads
    begin = threading.Barrier(threads + 1)

    def work(number: int) -> None:
        tasks = [Task(f"t-{number}-{n}") for n in range(400)]
        application.save(*tasks)
        begin.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            task = tasks[counts[number] % len(tasks)]
            task.progress(f"round 1, submitter {number}, step {counts[number]}")
            application.save(task)
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    print(orjson.dumps({"a_second": sum(counts) / (time.perf_counter() - begun)}).decode())
    application.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
