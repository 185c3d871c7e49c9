"""Who asks, as what, and whether they may."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid4

from domain.errors import DoraStateError


class Permission(StrEnum):
    """`commands`: submit; `reads`: states, lists, boards, events; `history`: the past, differences, traces; `operate`:
    locks of others, dead letters, queues."""

    COMMANDS = "commands"
    READS = "reads"
    HISTORY = "history"
    EXPORT = "export"
    OPERATE = "operate"


class CallerRole(StrEnum):
    ORCHESTRATOR = "orchestrator"
    READER = "reader"
    AUDITOR = "auditor"
    OPERATOR = "operator"


PERMISSIONS: Mapping[CallerRole, frozenset[Permission]] = {
    CallerRole.ORCHESTRATOR: frozenset({Permission.COMMANDS, Permission.READS}),
    CallerRole.READER: frozenset({Permission.READS}),
    CallerRole.AUDITOR: frozenset({Permission.READS, Permission.HISTORY, Permission.EXPORT}),
    CallerRole.OPERATOR: frozenset(Permission),
}


class Unauthenticated(DoraStateError):
    """Nobody is known by what was sent; send a valid API key or token as `Authorization: Bearer ...`."""

    code = "unauthenticated"


class Forbidden(DoraStateError):
    """The role of the caller does not allow that; ask with another key."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the actor of what the caller does. `credential` names the key or token, and is no secret.

    An orchestrator acts for others: it names the actor of a command, and both are recorded.
    """

    name: str
    role: CallerRole
    tenant: str
    credential: str | None = None

    def may(self, permission: Permission) -> bool:
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raises Forbidden."""
        if not self.may(permission):
            raise Forbidden(
                f"The role {self.role} may not do that, as it takes {permission}; ask with a key whose role has it.",
                role=self.role,
                permission=permission,
            )

    @property
    def acts_for_others(self) -> bool:
        return self.role in (CallerRole.ORCHESTRATOR, CallerRole.OPERATOR)


class Authenticator(Protocol):
    """Finds out who sends a request."""

    async def caller(self, authorization: str | None) -> Caller:
        """By the header `Authorization`. Raises Unauthenticated, which the key of another tenant is too, Forbidden for
        a token of another tenant, and another DoraStateError where nobody can tell just now."""
        ...

    def remembered(self, authorization: str | None) -> Caller | None:
        """Who it was when that could be told, a day ago at most; only to be told how the service itself is."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """That somebody looks at history, an export, a difference or a replay: which, up to where, and how much it is;
    `rows` is None where that is known only in the end. `asked` is what else was asked for, such as filters."""

    caller: Caller
    what: str
    about: str
    cut: Mapping[str, object] = field(default_factory=dict)
    rows: int | None = None
    asked: Mapping[str, object] = field(default_factory=dict)
    id: UUID = field(default_factory=uuid4)


class Readings(Protocol):
    """Keeps who looked at what."""

    async def record(self, reading: Reading) -> None:
        """Before anything is shown. Raises DoraStateError where it can't be recorded: then nothing is to be shown."""
        ...

    def ended(self, reading: Reading, rows: int) -> None:
        """How much was shown of one that was recorded without saying so; written soon."""
        ...
