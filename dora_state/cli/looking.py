"""Who looks at the past by the command line: it is recorded before anything is shown."""

import os
import pwd
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields

from domain.log import START, Cut
from domain.values import iso
from dora_state.access.caller import Caller, CallerRole, Reading
from dora_state.access.recording import Shown, looking, open_readings
from dora_state.state_manager import StateManager


def os_user() -> str:
    """Whose process it is, as the system knows it: variables of the environment are not asked."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return name or f"uid {os.getuid()}"


@asynccontextmanager
async def recorded(
    manager: StateManager, what: str, about: str, cut: Mapping[str, object], **asked: object
) -> AsyncIterator[Shown]:
    """Who has the database's login may do everything, so the role is operator; the database adds which login it is.

    `asked` is what else was asked for; what nobody gave is left out. Raises LogUnavailable where it can't be recorded.
    """
    platform = manager.platform
    caller = Caller(os_user(), CallerRole.OPERATOR, platform.settings.tenant, "command line")
    async with (
        open_readings(platform.servers) as readings,
        looking(readings, Reading(caller, what, about, cut, asked=_given(asked))) as shown,
    ):
        yield shown


def _given(asked: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in asked.items() if value not in (None, False, (), frozenset())}


def cut_facts(cut: Cut, **others: object) -> dict[str, object]:
    """A cut as it is recorded: without what nobody gave."""
    said: dict[str, object] = {field.name: getattr(cut, field.name) for field in fields(cut)} | others
    return {name: value for name, value in said.items() if value is not None}


def cut_word(cut: Cut) -> str:
    """A cut in one word, as people type it."""
    if cut.version is not None:
        return f"v{cut.version}"
    if cut.at is not None:
        return iso(cut.at)
    if cut.is_now:
        return "now"
    return "start" if cut == START else f"p{cut.position}"
