"""Turns the sorted events of a log into commands, and commits them group by group.

While one group is being appended the next is decided. Only this process writes to a tenant that is
importing, so a decision stands on what the ones before it left, appended or not.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from commands.committer import Prepared
from commands.envelope import Envelope
from commands.messages.base import Command
from commands.messages.importing import BeginImport, EndImport, ImportEvent, NewAgent, NewWorkflow
from commands.work import Loaded
from commands.xes_mapping import AgentProfile, Step, XesMapping, name_for_nobody, usable
from domain.agent import AGENT
from domain.errors import InvalidInput, LogError
from domain.log import Conflicted
from domain.task import TASK
from domain.values import JsonObject
from domain.workflow import WORKFLOW
from dora_state.importing import ids
from dora_state.importing.report import ImportReport, Progress
from dora_state.platform import Platform, now
from infrastructure.event_store import PostgresEventLog
from infrastructure.xes.sorted_log import SortedEvent, SortedLog

GROUP = 500
"""Commands in one append."""
YIELD_EVERY = 25
"""After so many decisions the append in flight gets a turn."""
MAX_MONTHS = 1_200
TASK_STATES = ("created", "scheduled", "assigned", "running", "completed", "failed", "cancelled", "timed_out")
WORKFLOW_STATES = ("created", "scheduled", "running", "paused", "completed", "failed", "cancelled")
NOT_IMPORTED: Loaded[Any] = Loaded(0, None)


class Importer:
    """One run of one import; `run` once, then ask for the `report`."""

    def __init__(self, platform: Platform, sorted_log: SortedLog, import_id: UUID, progress: Progress) -> None:
        self._platform = platform
        self._sorted = sorted_log
        self._import_id = import_id
        self._progress = progress
        self._file = sorted_log.report
        self._months: list[str] = []
        self._inferred = 0
        self._problems: Counter[str] = Counter()
        self._mapping = XesMapping()
        self._definition_id = PurePath(self._file.file_name).name.split(".")[0][:255].strip() or "imported"

    async def run(self) -> None:
        """From where an earlier run stopped, or from the beginning, to the end; then the tenant is live.

        Raises InvalidInput for a log without a single usable event, LogError.
        """
        first, last = self._file.first_time, self._file.last_time
        if first is None or last is None:
            raise InvalidInput(f"{self._file.file_name} has no event that can be imported; nothing was recorded.")
        if len(self._file.months) > MAX_MONTHS:
            raise InvalidInput(
                f"{self._file.file_name} has events in {len(self._file.months)} months, more than {MAX_MONTHS}; "
                "check its times."
            )
        log = await self._platform.log.begin_import(self._import_id)
        self._months = await self._platform.log.ensure_months(first, last)
        done = await self._place_reached()
        profiles, nobody = await asyncio.to_thread(self._profiles)
        self._mapping = XesMapping(nobody)
        self._progress.begin("importing", self._file.events_sorted)
        groups = _Groups(self._platform, log)
        if done < 0:
            command = BeginImport(
                file_name=self._file.file_name[:255], sha256=self._file.sha256, imported_at=self._file.now
            )
            await groups.add(self._envelope(0, command, "import"), first)
        await self._import_events(groups, profiles, nobody, done)
        if done < self._file.events_sorted + 1:
            ended = EndImport(sha256=self._file.sha256, imported_at=now(), counts=self._counts())
            await groups.add(self._envelope(self._file.events_sorted + 1, ended, "import"), last)
        await groups.finish()
        self._problems += groups.problems
        self._progress.end()
        await self._platform.log.end_import(self._import_id)

    async def _place_reached(self) -> int:
        """The place in the import of the last command that recorded events, -1 if there is none."""
        head = await self._platform.log.head()
        if head.position == 0:
            return -1
        (last,) = (await self._platform.log.read_log(after_position=head.position - 1, limit=1))[-1:]
        return ids.place_of(_command_id(last.metadata))

    def _profiles(self) -> tuple[dict[str, AgentProfile], str]:
        """The first pass: what each agent needs, by running the same mapping over the same events."""
        resources = {event.resource for event in self._sorted if event.resource is not None}
        nobody = name_for_nobody(resources)
        mapping = XesMapping(nobody)
        for event in self._sorted:
            mapping.step(event)
        return mapping.agents, nobody

    async def _import_events(
        self, groups: "_Groups", profiles: dict[str, AgentProfile], nobody: str, done: int
    ) -> None:
        registered: set[str] = set()
        for event in self._sorted:
            step = self._mapping.step(event)
            self._inferred += step.inferred
            registers = step.agent_id is not None and "start" in step.operations and step.agent_id not in registered
            if registers and step.agent_id is not None:
                registered.add(step.agent_id)
            place = event.ordinal + 1
            if place > done:
                envelope = self._event_envelope(place, event, step, profiles if registers else {}, nobody)
                if envelope is not None:
                    groups.know_as_new(_new_streams(event, step, registers))
                    await groups.add(envelope, event.time)
            if event.ordinal % 500 == 499:
                self._progress.advance(500)

    def _event_envelope(
        self, place: int, event: SortedEvent, step: Step, profiles: dict[str, AgentProfile], nobody: str
    ) -> Envelope | None:
        begins = event.trace_attributes
        if not usable(event.trace_id):
            self._problems["event of a trace whose id is not usable"] += 1
            return None
        if begins is None and not step.operations and not event.last_of_trace:
            return None
        profile = profiles.get(step.agent_id or "")
        try:
            command = ImportEvent(
                workflow_id=event.trace_id,
                begins=None if begins is None else NewWorkflow(definition_id=self._definition_id, context=begins),
                ends=event.last_of_trace,
                operations=step.operations,
                task_id=step.task_id,
                activity=step.activity,
                agent_id=step.agent_id,
                registers=None
                if profile is None
                else NewAgent(capabilities=tuple(sorted(profile.capabilities)), capacity=profile.capacity),
                attributes=event.attributes,
            )
        except ValidationError as error:
            self._problems[f"event with attributes that can't be kept ({error.errors()[0]['msg']})"] += 1
            return None
        return self._envelope(place, command, event.resource or nobody, inferred=step.inferred)

    def _envelope(self, place: int, command: Command, actor: str, *, inferred: bool = False) -> Envelope:
        return Envelope(
            command_id=ids.command_id(self._file.sha256, place),
            command=command,
            actor=actor,
            correlation_id=str(self._import_id),
            note={"inferred": True} if inferred else None,
        )

    def _counts(self) -> JsonObject:
        return {
            "traces": self._file.traces,
            "events_read": self._file.events_read,
            "events_imported": self._file.events_sorted,
            "skipped": sum(self._file.skipped.values()) + sum(self._mapping.skipped.values()),
            "inferred": self._inferred,
        }

    async def report(self, seconds: dict[str, float]) -> ImportReport:
        """What was in the file and what became of it; counts of states are the read models'."""
        read_models = self._platform.read_models
        workflows = {state: await read_models.count("workflow", (state,)) for state in WORKFLOW_STATES}
        tasks = {state: await read_models.count("task", (state,)) for state in TASK_STATES}
        skipped = Counter(self._file.skipped) + self._mapping.skipped + self._problems
        return ImportReport(
            file_name=self._file.file_name,
            sha256=self._file.sha256,
            traces=self._file.traces,
            events_read=self._file.events_read,
            events_imported=self._file.events_sorted,
            events_recorded=(await self._platform.log.head()).position,
            workflows={state: count for state, count in workflows.items() if count},
            tasks={state: count for state, count in tasks.items() if count},
            agents=len(self._mapping.agents),
            inferred=self._inferred,
            skipped=dict(skipped),
            examples=self._file.examples,
            other_transitions=dict(self._mapping.transitions),
            first_time=self._file.first_time,
            last_time=self._file.last_time,
            months=tuple(self._months),
            seconds=seconds,
            rates={},
        )


class _Groups:
    """Decides commands one by one and appends them in groups, one append in flight at a time."""

    def __init__(self, platform: Platform, log: PostgresEventLog) -> None:
        self.problems: Counter[str] = Counter()
        self._platform = platform
        self._decider = platform.new_decider()
        self._log = log
        self._group: list[Prepared] = []
        self._in_flight: asyncio.Task[None] | None = None

    def know_as_new(self, stream_ids: Sequence[str]) -> None:
        """Streams that can't exist yet need not be looked for."""
        self._decider.remember(dict.fromkeys(stream_ids, NOT_IMPORTED))

    async def add(self, envelope: Envelope, at: datetime) -> None:
        decision = await self._decider.decide(envelope, at)
        if decision.problem is not None:
            self.problems[f"event refused: {decision.problem.code}"] += 1
            return
        # Not appended yet, but nobody else writes here; the cache holds far more than two groups touch.
        self._decider.remember(decision.work.left)
        if decision.work.events:
            self._group.append(self._platform.committer.prepare(decision, recorded_at=at))
        if len(self._group) >= GROUP:
            await self._send()
        elif len(self._group) % YIELD_EVERY == 0:
            await asyncio.sleep(0)

    async def finish(self) -> None:
        await self._send()
        await self._landed()

    async def _send(self) -> None:
        await self._landed()
        group, self._group = self._group, []
        if group:
            self._in_flight = asyncio.create_task(self._append(group))

    async def _landed(self) -> None:
        if self._in_flight is not None:
            await self._in_flight
            self._in_flight = None

    async def _append(self, group: list[Prepared]) -> None:
        outcomes = await self._log.append([one.append for one in group])
        for outcome in outcomes:
            if isinstance(outcome, Conflicted):
                raise LogError(
                    f"{outcome.stream_id} is at version {outcome.actual} and the import expected {outcome.expected}; "
                    "something else writes to this tenant: stop it, and start the import anew.",
                    stream_id=outcome.stream_id,
                )


def _new_streams(event: SortedEvent, step: Step, registers: bool) -> list[str]:
    streams = []
    if event.trace_attributes is not None:
        streams.append(WORKFLOW.stream_id(event.trace_id))
    if "create" in step.operations and step.task_id is not None:
        streams.append(TASK.stream_id(step.task_id))
    if registers and step.agent_id is not None:
        streams.append(AGENT.stream_id(step.agent_id))
    return streams


def _command_id(metadata: bytes) -> UUID:
    return UUID(orjson.loads(metadata)["command_id"])
