"""Turns the sorted events of a log into commands, from its beginning or from where an earlier run stopped."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import PurePath
from uuid import UUID

import orjson

from commands.envelope import Envelope
from commands.messages.base import Command
from commands.messages.importing import BeginImport, EndImport, ImportEvent, ImportRecorded
from commands.recorded_traces import AgentProfile
from commands.xes_mapping import XesMapping, name_for_nobody, usable
from domain.agent import AGENT
from domain.errors import AppendRejected, InvalidInput, LogError
from domain.task import TASK, TaskCreated
from domain.values import JsonObject
from domain.workflow import WORKFLOW, WorkflowCreated
from dora_state.importing import ids
from dora_state.importing.groups import Groups
from dora_state.importing.report import ImportReport
from dora_state.importing.tenant import ImportRefused
from dora_state.importing.translation import Translation
from dora_state.platform import Platform, now
from dora_state.progress import Progress
from infrastructure.event_store import PostgresEventLog
from infrastructure.xes.identities import SeenIds
from infrastructure.xes.sorted_log import SortedLog

MAX_MONTHS = 1_200
TELL_EVERY = 500
"""After so many events the progress is told."""
NOBODY_YET = ""
"""Stands for nobody while the names of the log are not all known; no resource has an empty name."""
TASK_STATES = ("created", "scheduled", "assigned", "running", "completed", "failed", "cancelled", "timed_out")
WORKFLOW_STATES = ("created", "scheduled", "running", "paused", "completed", "failed", "cancelled")


class Importer:
    """One run of one import; `run`, then ask for the `report`, then `end` it."""

    def __init__(
        self, platform: Platform, sorted_log: SortedLog, import_id: UUID, file_name: str, progress: Progress
    ) -> None:
        """`file_name`: as the first run of this import was given it; workflows are named after it."""
        self._platform = platform
        self._sorted = sorted_log
        self._import_id = import_id
        self._progress = progress
        self._file = sorted_log.report
        self._file_name = file_name
        self._translation = Translation("", {}, NOBODY_YET)
        self._refused: Counter[str] = Counter()
        self._task_ids = SeenIds()
        self._own_traces = SeenIds()

    async def run(self) -> None:
        """To the last event; the tenant stays in the mode importing.

        Raises InvalidInput or ImportRefused, with nothing recorded, for a log or a tenant that won't do, and
        LogError.
        """
        first, last = _require_events(self._sorted)
        profiles, nobody = await asyncio.to_thread(self._look_ahead)
        definition_id = _name(PurePath(self._file_name).name.split(".")[0])
        self._translation = Translation(definition_id, profiles, nobody)
        log = await self._begin()
        try:
            done, position = await self._place_reached()
            for begin, end in _ranges(self._file.months):
                await log.ensure_months(begin, end)
            await self._import(Groups(self._platform, log, position), done, first, last)
        except BaseException:
            await self._leave_as_it_was()
            raise

    async def _begin(self) -> PostgresEventLog:
        try:
            return await self._platform.log.begin_import(self._import_id)
        except AppendRejected as error:
            tenant = self._platform.settings.tenant
            raise ImportRefused(
                f"Tenant {tenant} is not empty, commands were answered there; import into an empty one, "
                "for example with --tenant imported.",
                tenant=tenant,
            ) from error

    async def end(self) -> None:
        """The tenant is live."""
        await self._platform.log.end_import(self._import_id)

    async def _leave_as_it_was(self) -> None:
        """A tenant in which nothing was recorded is no import that was cut short."""
        with contextlib.suppress(LogError):
            if (await self._platform.log.head()).position == 0:
                await self.end()

    async def _place_reached(self) -> tuple[int, int]:
        """The place in the import of the last command that recorded events, -1: none; and the log's last position."""
        head = await self._platform.log.head()
        if head.position == 0:
            return -1, 0
        (last,) = (await self._platform.log.read_log(after_position=head.position - 1, limit=1))[-1:]
        return ids.place_of(UUID(orjson.loads(last.metadata)["command_id"])), head.position

    def _look_ahead(self) -> tuple[dict[str, AgentProfile], str]:
        """The first pass: what each agent needs, by running the same mapping over the same events.

        Raises InvalidInput if it can use none of them.
        """
        self._progress.begin("looking ahead", self._file.events_sorted)
        mapping = XesMapping(NOBODY_YET)
        found = False
        for event in self._sorted:
            mapping.step(event)
            found = found or usable(event.trace_id)
            if event.ordinal % TELL_EVERY == TELL_EVERY - 1:
                self._progress.advance(TELL_EVERY)
        self._progress.end()
        if not found:
            raise _nothing_usable(self._file_name)
        agents = mapping.agents
        nobody = name_for_nobody(agents)
        if NOBODY_YET in agents:
            agents[nobody] = agents.pop(NOBODY_YET)
        return agents, nobody

    async def _import(self, groups: Groups, done: int, first: datetime, last: datetime) -> None:
        self._progress.begin("importing", self._file.events_sorted)
        async with groups:
            if done < 0:
                begun = BeginImport(
                    file_name=_name(self._file_name), sha256=self._file.sha256, imported_at=self._file.now
                )
                await groups.add(self._envelope(0, begun, "import"), first)
            await self._import_events(groups, done)
            self._refused = Counter({f"event refused: {code}": count for code, count in groups.refused.items()})
            if done < self._file.events_sorted + 1:
                ended = EndImport(sha256=self._file.sha256, imported_at=now(), counts=self._counts())
                await groups.add(self._envelope(self._file.events_sorted + 1, ended, "import"), last)
            await groups.finish()
        self._progress.end()

    async def _import_events(self, groups: Groups, done: int) -> None:
        """Those that are done are only translated again, so that the report is of the whole log."""
        translation = self._translation
        for event in self._sorted:
            translated = translation.command(event)
            place = event.ordinal + 1
            new = self._new_streams(translated.command) if translated is not None else []
            if translated is not None and place > done:
                groups.know_as_new(new)
                if isinstance(translated.command, ImportRecorded) and translated.command.looks_back:
                    await groups.finish()  # what it goes back to is asked of the log
                if not await groups.add(self._envelope(place, *translated), event.time):
                    translation.was_refused(translated.command)
            if event.ordinal % TELL_EVERY == TELL_EVERY - 1:
                self._progress.advance(TELL_EVERY)

    def _new_streams(self, command: ImportEvent | ImportRecorded) -> list[str]:
        """Those that can't exist yet. In our own exports two traces may claim one task."""
        if isinstance(command, ImportEvent):
            created = [command.task_id] if "create" in command.operations and command.task_id is not None else []
            streams = [WORKFLOW.stream_id(command.workflow_id)] if command.begins is not None else []
            registers = [command.agent_id] if command.registers is not None and command.agent_id is not None else []
        else:
            created = [
                task_id for task_id, event in command.events if isinstance(event, TaskCreated) and task_id is not None
            ]
            begins = any(isinstance(event, WorkflowCreated) for _, event in command.events)
            streams = []
            if begins and self._own_traces.add(command.workflow_id):
                streams.append(WORKFLOW.stream_id(command.workflow_id))
            registers = list(command.registers)
        streams += [TASK.stream_id(task_id) for task_id in created if self._task_ids.add(task_id)]
        return streams + [AGENT.stream_id(agent_id) for agent_id in registers]

    def _envelope(
        self,
        place: int,
        command: Command,
        actor: str,
        occurred_at: datetime | None = None,
        inferred: bool = False,
    ) -> Envelope:
        return Envelope(
            command_id=ids.command_id(self._file.sha256, place),
            command=command,
            actor=actor,
            correlation_id=str(self._import_id),
            occurred_at=occurred_at,
            note={"inferred": True} if inferred else None,
        )

    @property
    def _skipped(self) -> dict[str, int]:
        return dict(Counter(self._file.skipped) + self._translation.skipped + self._refused)

    @property
    def _events_imported(self) -> int:
        """Those that did something to a task."""
        return self._translation.used - self._refused.total()

    def _counts(self) -> JsonObject:
        return {
            "traces": self._file.traces,
            "events_read": self._file.events_read,
            "events_imported": self._events_imported,
            "inferred": self._translation.inferred,
            "skipped": {**self._skipped},
            "other_transitions": dict(self._translation.mapping.transitions),
        }

    async def report(self, seconds: dict[str, float]) -> ImportReport:
        """What was in the file and what became of it; counts of states are the read models'."""
        read_models = self._platform.read_models
        workflows = {state: await read_models.count("workflow", (state,)) for state in WORKFLOW_STATES}
        tasks = {state: await read_models.count("task", (state,)) for state in TASK_STATES}
        return ImportReport(
            file_name=self._file_name,
            sha256=self._file.sha256,
            traces=self._file.traces,
            events_read=self._file.events_read,
            events_imported=self._events_imported,
            events_recorded=(await self._platform.log.head()).position,
            workflows={state: count for state, count in workflows.items() if count},
            tasks={state: count for state, count in tasks.items() if count},
            agents=len(self._translation.mapping.agents),
            inferred=self._translation.inferred,
            skipped=self._skipped,
            examples={**self._file.examples, **self._translation.examples},
            other_transitions=dict(self._translation.mapping.transitions),
            first_time=self._file.first_time,
            last_time=self._file.last_time,
            months=tuple(f"{year:04}-{month:02}" for year, month in self._file.months),
            seconds=seconds,
            rates={},
        )


def _require_events(sorted_log: SortedLog) -> tuple[datetime, datetime]:
    """The times of the first and the last event."""
    file = sorted_log.report
    if file.first_time is None or file.last_time is None:
        raise _nothing_usable(file.file_name)
    if len(file.months) > MAX_MONTHS:
        raise InvalidInput(
            f"{file.file_name} has events in {len(file.months)} months, more than {MAX_MONTHS}; check its times."
        )
    return file.first_time, file.last_time


def _nothing_usable(file_name: str) -> InvalidInput:
    return InvalidInput(
        f"{file_name} has no event that can be imported, so nothing was recorded; check that its events have "
        "times that are not in the future, and its traces usable ids."
    )


def _ranges(months: tuple[tuple[int, int], ...]) -> Iterator[tuple[datetime, datetime]]:
    """The first moments of the first and last of months that follow each other without a gap."""
    numbered = [12 * year + month - 1 for year, month in months]
    for _, run in groupby(enumerate(numbered), key=lambda one: one[1] - one[0]):
        numbers = [number for _, number in run]
        yield _first_moment(numbers[0]), _first_moment(numbers[-1])


def _first_moment(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _name(text: str) -> str:
    """A name of a file, which may be anything, as an id."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable[:255].strip() or "imported"
