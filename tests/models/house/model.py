"""The house of the model: it is told commands, and says what becomes of each."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from tests.models.house.back import Back
from tests.models.house.floor import Moment
from tests.models.house.rooms import Refused, Rooms
from tests.models.house.seen import of_workflow

OTHERWISE = {"release": "release_reservation"}
"""Where a command's name is taken for what tasks do."""


@dataclass(frozen=True)
class Expected:
    """What a command comes to. Of several reasons for a refusal, any may be told."""

    outcome: str
    reasons: frozenset[str] = frozenset()


class House(Back):
    """`tell` it each command once, in order; and `recorded`, if it was accepted, where it is in the log."""

    def tell(self, command_id: str, now: datetime, *commands: tuple[str, Any], active: int | None = None) -> Expected:
        """What becomes of a command, or of several that are one; `active`: the workflows that count as such.

        Accepted is what changes anything, unchanged what does not; and a refusal leaves all as it was.
        """
        before, self.rooms = self.rooms, self.rooms.copy()
        self.now, self.command_id, self.reservations_made, self.moved = now, command_id, 0, set()
        self.active_before = self.active(before) if active is None else active
        changes = False
        try:
            for name, told in commands:
                found = self.rooms.copy()
                method = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
                cast(Callable[[Any], None], getattr(self, OTHERWISE.get(method, method)))(told)
                changes |= self.rooms != found
                if len(commands) > 1:
                    self.moved |= {one for one in self.rooms.workflows if self.looks_otherwise(one, found)}
        except Refused as refused:
            self.rooms = before
            return Expected("refused", frozenset(refused.reasons))
        if not changes:
            self.rooms = before
        return Expected("accepted" if changes else "unchanged")

    def recorded(self, position: int, at: datetime, versions: Mapping[str, int]) -> None:
        known = self.moments[-1].versions if self.moments else {}
        self.moments.append(Moment(position, at, {**known, **versions}, self.rooms))

    def looks_otherwise(self, workflow_id: str, before: Rooms) -> bool:
        then, now = before.workflows.get(workflow_id), self.workflow(workflow_id)
        return then is None or of_workflow(before, then) != of_workflow(self.rooms, now)

    def active(self, rooms: Rooms) -> int:
        return sum(one.state in ("running", "paused") for one in rooms.workflows.values())
