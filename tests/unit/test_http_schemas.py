"""Whatever a document shows, its schema describes: every key, with its type."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import ValidationError

from commands.messages import Command
from domain.all_events import AGGREGATES
from domain.folding import FOLDER
from domain.log import RecordedEvent
from dora_state.http.api import OPERATIONS
from dora_state.http.description import openapi_document
from dora_state.http.schemas.words import ref
from dora_state.testing.commands import any_command
from projections.documents import RENDERINGS
from projections.documents import agent as agents
from projections.documents import system as systems
from projections.documents.values import Document, decode, encode
from tests.support.busy_world import happened
from tests.support.command_world import BEGINNING
from tests.support.described import Described
from tests.support.stories import Told, at, full_agent, full_pool, full_system, full_task, full_workflow

DESCRIBED = Described(openapi_document(OPERATIONS))
STORED = {"workflow": "Workflow", "task": "Task", "agent": "Agent", "pool": "Pool", "system": "StoredSystem"}


def rendered(told: Told) -> tuple[str, Document]:
    kind = told[0][0].partition("-")[0]
    state = AGGREGATES[kind].fold(event for _, event in told)
    return kind, decode(RENDERINGS[kind].render(state, len(told), 10 * len(told), at(1000)))


@pytest.mark.parametrize("told", [full_workflow(), full_task(), full_agent(), full_pool(), full_system()])
def test_a_document_with_something_under_every_key_is_described(told: Told) -> None:
    kind, document = rendered(told)
    DESCRIBED.fits(ref(STORED[kind]), document)


@pytest.mark.parametrize("told", [full_workflow(), full_task(), full_agent(), full_pool(), full_system()])
def test_a_key_that_is_not_described_or_not_there_is_found(told: Told) -> None:
    kind, document = rendered(told)
    for part in (document, *(one for one in document.values() if isinstance(one, dict))):
        if part is document.get("context") or part is document.get("inputs") or part is document.get("outputs"):
            continue
        part["surprise"] = [None]
        with pytest.raises(ValidationError):
            DESCRIBED.fits(ref(STORED[kind]), document)
        del part["surprise"]
    for key in set(document):
        with pytest.raises(ValidationError):
            DESCRIBED.fits(ref(STORED[kind]), {name: one for name, one in document.items() if name != key})


def test_what_an_agent_uses_is_described() -> None:
    usage = {"cpu_percent": 65.2, "network_io": {"rx": 1, "tx": 2}, "gpu_utilization": 0.0}
    _, document = rendered(full_agent())
    DESCRIBED.fits(ref("Agent"), agents.as_of(document, agents.Presence("policy-analyzer-001", at(60), usage, 1), 2.3))


def test_a_system_that_was_never_configured_is_described() -> None:
    document = decode(encode(systems.unheard_of(at(0))))
    DESCRIBED.fits(ref("StoredSystem"), document)
    with pytest.raises(ValidationError):
        DESCRIBED.fits(ref("System"), document)  # its counts are not there yet
    nothing = systems.Figures(0, None, {}, systems.Rates(0, 0, 0, None, 0.0, 0.0), {})
    DESCRIBED.fits(ref("System"), systems.as_of(document, nothing))


@settings(max_examples=15)
@given(st.lists(st.tuples(any_command(BEGINNING + timedelta(minutes=5)), st.sampled_from([1, 60])), max_size=40))
def test_every_document_that_any_commands_lead_to_is_described(commands: list[tuple[Command, int]]) -> None:
    states: dict[str, object] = {}
    last: dict[str, RecordedEvent] = {}
    for record in happened(commands).events:
        _, states[record.stream_id] = FOLDER.step(record, states.get(record.stream_id))
        last[record.stream_id] = record
    for stream_id, record in last.items():
        kind = stream_id.partition("-")[0]
        document = RENDERINGS[kind].render(states[stream_id], record.version, record.position, record.recorded_at)
        DESCRIBED.fits(ref(STORED[kind]), decode(document))
