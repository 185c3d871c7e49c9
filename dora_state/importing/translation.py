"""From the sorted events of a log to commands, with the count of what can't be used."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from commands.messages.importing import ImportEvent, ImportRecorded, NewAgent, NewWorkflow
from commands.recorded_traces import AgentProfile
from commands.xes_mapping import EXAMPLES, Step, XesMapping, usable
from domain.interchange import ACTOR, INFERRED, OCCURRED_AT, STATE
from domain.values import JsonObject
from dora_state.importing.attributes import keepable
from infrastructure.xes.sorted_log import SortedEvent
from infrastructure.xes.values import parse_time

LEFT_OUT = "attribute that can't be kept"


class Translated(NamedTuple):
    """A command, and what its envelope says of it: who asked for it, when as they said; whether more was inferred."""

    command: ImportEvent | ImportRecorded
    actor: str
    occurred_at: datetime | None = None
    inferred: bool = False


class Translation:
    """One pass over a log, from its first event on: what an event means depends on those before it."""

    def __init__(self, definition_id: str, profiles: Mapping[str, AgentProfile], nobody: str) -> None:
        """`profiles` and `nobody` are what a look ahead over the same log has found."""
        self.mapping = XesMapping(nobody)
        self.inferred = 0
        self.used = 0
        """Events that do something to a task; others at most begin or end a workflow."""
        self.nobody = nobody
        self._definition_id = definition_id
        self._profiles = profiles
        self._registered: set[str] = set()
        self._left_open: set[str] = set()
        """Traces of our own exports without what was recorded, which say that their workflows are not completed."""
        self._problems: Counter[str] = Counter()
        self._left_out: list[str] = []

    @property
    def skipped(self) -> Counter[str]:
        return self.mapping.skipped + self._problems

    @property
    def examples(self) -> dict[str, tuple[str, ...]]:
        """A few of each reason."""
        named = {**self.mapping.examples, LEFT_OUT: self._left_out}
        return {reason: tuple(examples) for reason, examples in named.items() if examples}

    def command(self, event: SortedEvent) -> Translated | None:
        """What this event asks for, None if nothing."""
        step = self.mapping.step(event)
        self.inferred += step.inferred
        self.used += bool(step.operations) or step.told
        if step.ours:
            return self._recorded(event, step) if step.recorded else None
        context, attributes = event.trace_attributes, event.attributes
        ends = event.last_of_trace
        if context is not None and context.get(STATE, "completed") != "completed":
            self._left_open.add(event.trace_id)
        if ends and event.trace_id in self._left_open:
            self._left_open.remove(event.trace_id)
            ends = False
        registers = self._registers(step)
        if not usable(event.trace_id) or (context is None and not step.operations and not ends):
            return None
        actor = event.resource or self.nobody
        try:
            command = self._command(event, step, registers, context, attributes, ends)
        except ValidationError:
            # Ids are known to be usable, so it must be an attribute: the rest goes on without it.
            context = None if context is None else self._keepable(context, event)
            command = self._command(event, step, registers, context, self._keepable(attributes, event), ends)
        return Translated(command, actor, inferred=step.inferred)

    def was_refused(self, command: ImportEvent | ImportRecorded) -> None:
        """What it would have registered is not there yet."""
        if isinstance(command, ImportRecorded):
            self._registered.difference_update(command.registers)

    def _recorded(self, event: SortedEvent, step: Step) -> Translated:
        """What dora-state recorded once, asked for by whom and when as was said then."""
        new = [agent_id for agent_id in dict.fromkeys(step.takes) if agent_id not in self._registered]
        self._registered.update(new)
        command = ImportRecorded(
            workflow_id=event.trace_id,
            events=step.recorded,
            agents=step.takes,
            registers={agent_id: self._agent(agent_id) for agent_id in new},
        )
        actor, inferred = event.attributes.get(ACTOR), event.attributes.get(INFERRED)
        return Translated(
            command,
            actor if isinstance(actor, str) and usable(actor) else self.nobody,
            _time(event.attributes.get(OCCURRED_AT)),
            inferred is True,
        )

    def _registers(self, step: Step) -> NewAgent | None:
        if step.agent_id is None or step.agent_id in self._registered or "start" not in step.operations:
            return None
        self._registered.add(step.agent_id)
        return self._agent(step.agent_id)

    def _agent(self, agent_id: str) -> NewAgent:
        profile = self._profiles[agent_id]
        return NewAgent(capabilities=tuple(sorted(profile.capabilities)), capacity=profile.capacity)

    def _command(
        self,
        event: SortedEvent,
        step: Step,
        registers: NewAgent | None,
        context: JsonObject | None,
        attributes: JsonObject,
        ends: bool,
    ) -> ImportEvent:
        return ImportEvent(
            workflow_id=event.trace_id,
            begins=None if context is None else NewWorkflow(definition_id=self._definition_id, context=context),
            ends=ends,
            operations=step.operations,
            task_id=step.task_id,
            activity=step.activity,
            agent_id=step.agent_id,
            registers=registers,
            attributes=attributes,
        )

    def _keepable(self, attributes: Mapping[str, Any], event: SortedEvent) -> JsonObject:
        kept, left_out = keepable(attributes)
        self._problems[LEFT_OUT] += len(left_out)
        room = EXAMPLES - len(self._left_out)
        self._left_out += [f'{name[:80]!r} in trace "{event.trace_id[:80]}"' for name in left_out[:room]]
        return kept


def _time(text: object) -> datetime | None:
    return parse_time(text) if isinstance(text, str) else None
