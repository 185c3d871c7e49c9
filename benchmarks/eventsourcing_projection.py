"""The peer: the library's projection runner with one projection that upserts a row for each event, in PostgreSQL.

Makes the events of so many tasks first; then for each line on stdin it projects them all anew, and answers with the
events a second.
"""

import sys
import time
from abc import abstractmethod
from typing import Any

import orjson
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from benchmarks.eventsourcing_peer import Task, Tasks

AT_ONCE = 500


class TaskRows(TrackingRecorder):
    """A view as the library wants it declared, apart from how it is kept."""

    @abstractmethod
    def upsert(self, task_id: str, note: str, tracking: Tracking) -> None: ...


class PostgresTaskRows(PostgresTrackingRecorder, TaskRows):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        table = Identifier(self.datastore.schema, self.tracking_table_name.replace("tracking", "rows"))
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {0} (task_id text PRIMARY KEY, note text NOT NULL)").format(table)
        )
        self._upsert = SQL(
            "INSERT INTO {0} VALUES (%s, %s) ON CONFLICT (task_id) DO UPDATE SET note = excluded.note"
        ).format(table)

    def upsert(self, task_id: str, note: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._upsert, (task_id, note), prepare=True)


class TaskProjection(Projection[TaskRows]):
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.upsert(str(domain_event.originator_id), getattr(domain_event, "note", ""), tracking)


def main(tasks: int, life: int) -> None:
    application = Tasks()
    made = []
    for number in range(tasks):
        task = Task(f"t-{number}")
        for step in range(life - 1):
            task.progress(f"round 1, submitter 1, step {step}")
        made.append(task)
        if len(made) * life >= AT_ONCE:
            application.save(*made)
            made = []
    if made:
        application.save(*made)
    last = application.recorder.max_notification_id()
    application.close()
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        TaskProjection.name = f"tasks{number}"
        begun = time.perf_counter()
        with ProjectionRunner(
            application_class=Tasks, projection_class=TaskProjection, view_class=PostgresTaskRows
        ) as runner:
            runner.wait(last, timeout=600)
            a_second = tasks * life / (time.perf_counter() - begun)
        print(orjson.dumps({"a_second": a_second}).decode(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
