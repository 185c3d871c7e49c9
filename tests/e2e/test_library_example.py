"""The example of docs/eventsourcing.md, as it is told there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.library import construct_factory

ROOT = Path(__file__).parents[2]
EXAMPLE = "docs/examples/incidents.py"
AGAIN = """
import sys, uuid
from docs.examples.incidents import IncidentRegister
with IncidentRegister() as register:
    print(register.repository.get(uuid.UUID(sys.argv[1])).cause)
"""


def _run(*arguments: str, **environment: str) -> list[str]:
    run = (sys.executable, "-W", "error", *arguments)
    done = subprocess.run(run, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


def _told(lines: list[str]) -> list[str]:
    return [re.sub(r'\{"timestamp":\{.*?\},', "{...,", line) for line in lines]


def test_it_runs_as_told_and_goes_on_where_it_stopped(library: str) -> None:
    told = (ROOT / "docs" / "eventsourcing.md").read_text().split("```")[1].splitlines()[2:]

    assert _told(_run(EXAMPLE)) == told
    assert [line.split(" ")[0] for line in _run(EXAMPLE)[1:]] == ["4", "5", "6"]


def test_the_same_file_runs_in_memory(library: str) -> None:
    assert _told(_run(EXAMPLE, PERSISTENCE_MODULE=""))[0].startswith("payments: major True")


def test_what_is_stored_are_topics_and_another_process_reads_it(library: str) -> None:
    _run(EXAMPLE)
    factory = construct_factory("IncidentRegister")
    events = factory.application_recorder().select_notifications(1, 10)
    (snapshot,) = factory.aggregate_recorder("snapshots").select_events(events[0].originator_id)
    factory.close()

    assert [e.topic for e in events] == ["incident_detected", "incident_classified", "incident_resolved"]
    assert (snapshot.originator_version, snapshot.state.count(b'"incident"')) == (2, 1)
    assert not any(b":" in value for e in events for value in re.findall(rb'"originator_topic":"(.*?)"', e.state))
    assert _run("-c", AGAIN, str(events[0].originator_id)) == ["an expired certificate"]


@pytest.mark.parametrize("url", ["postgresql://me:secret@localhost:1/nowhere"])
def test_without_a_server_the_last_line_says_what_to_do(library: str, url: str) -> None:
    environment = {**os.environ, "DORA_STATE_DATABASE_URL": url}
    done = subprocess.run(
        (sys.executable, EXAMPLE), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.search(r"can't be reached at localhost, port 1.*: start it, or correct DORA_STATE_DATABASE_URL", last)
    assert "secret" not in done.stderr
