"""StateManager: what a Python program uses to submit commands and to ask for states, now or in the past."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dora_state.naming import KINDS, Submission
from dora_state.platform import open_platform
from dora_state.servers import Say, quiet
from dora_state.settings import Settings, load_settings
from dora_state.state_manager.asking import Asked, Asking
from dora_state.state_manager.past import Past
from dora_state.state_manager.rollbacks import RollbackPreview
from dora_state.state_manager.submitting import Submitting

__all__ = ["KINDS", "Asked", "RollbackPreview", "StateManager", "Submission", "open_state_manager"]


class StateManager(Submitting, Asking, Past):
    """One tenant's state. Make it with `open_state_manager`."""


@asynccontextmanager
async def open_state_manager(
    settings: Settings | None = None,
    *,
    default_actor: str | None = None,
    say: Say = quiet,
    create: bool = True,
    warm: bool = False,
) -> AsyncIterator[StateManager]:
    """A StateManager with everything it needs, servers included, for as long as the block runs.

    Without `create`, for those who only ask: raises NotFound for a tenant that is not there. `warm` is for programs
    that run long and ask for `cached` states: those that are asked for most are loaded in the background.
    """
    async with open_platform(settings or load_settings(), say, create=create, warm=warm) as platform:
        yield StateManager(platform, default_actor=default_actor)
