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
    """The port Readings where there is no control schema: a line of the log for each."""

    async def record(self, reading: Reading) -> None:
        logger.info(
            "%s (%s) read %s of %s: %d rows, %s",
            reading.caller.name,
            reading.caller.role,
            reading.what,
            reading.about,
            reading.rows,
            dict(reading.cut),
        )
