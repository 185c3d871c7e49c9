"""A server without any key: whoever reaches it may do everything, so it listens to its own machine only."""

import logging

from dora_state.access.caller import Caller, CallerRole, Reading

logger = logging.getLogger(__name__)
NAME = "local"
"""The actor where nobody is named."""


class OpenHouse:
    """The Authenticator of a server without keys."""

    def __init__(self, tenant: str) -> None:
        self._caller = Caller(NAME, CallerRole.OPERATOR, tenant)

    async def caller(self, authorization: str | None) -> Caller:
        return self._caller


class LoggedReadings:
    """The port Readings where there is no control schema: lines of the log."""

    async def record(self, reading: Reading) -> None:
        caller, cut = reading.caller, dict(reading.cut)
        logger.info("%s (%s) reads %s of %s, %s", caller.name, caller.role, reading.what, reading.about, cut)

    def ended(self, reading: Reading, rows: int) -> None:
        logger.info("%s (%s) read %d rows", reading.caller.name, reading.caller.role, rows)
