"""How `worker` and `serve` log: as the settings say, what they tell as well."""

import logging

from dora_state.cli.logs import SpokenWarnings
from dora_state.cli.output import say
from dora_state.servers import Say
from dora_state.settings import Settings
from dora_state.watching.logs import choose_level, log_in_json, secrets_of
from dora_state.watching.redaction import redactor

logger = logging.getLogger("dora_state.told")


def begin_log(settings: Settings) -> Say:
    """Log as the settings say from here on; gives what to tell with."""
    if settings.log == "json":
        log_in_json(settings)
        return logger.info
    choose_level(settings)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, SpokenWarnings):
            handler.redact = redactor(secrets_of(settings))
    return say
