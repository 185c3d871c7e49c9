"""The log of programs that run long: a JSON object a line, or sentences, without secrets."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
from pydantic import SecretStr

from dora_state.settings import Settings
from dora_state.watching.context import NAMES, about
from dora_state.watching.redaction import redactor

OURS = ("dora_state", "infrastructure", "commands", "projections", "domain")
LEVELS = {"json": "info", "text": "warning"}
"""What is told where the settings don't say."""


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`; what is being done, where that is known; `error` with its traceback."""

    def __init__(self, tenant: str, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._tenant = tenant
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "tenant": self._tenant,
            **about(),
            # What the record itself says of it comes first.
            **{name: str(record.__dict__[name]) for name in NAMES if record.__dict__.get(name) is not None},
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        readable = {name: text.encode(errors="replace").decode() for name, text in line.items()}
        return orjson.dumps({name: self._redact(text) for name, text in readable.items()}).decode()


def log_in_json(settings: Settings) -> None:
    """From here on, everything that is logged is a line on stderr."""
    handler = logging.StreamHandler(sys.stderr) if sys.stderr is not None else logging.NullHandler()
    handler.setFormatter(JsonLines(settings.tenant, redactor(secrets_of(settings))))
    logging.basicConfig(handlers=[handler], force=True)
    choose_level(settings)


def choose_level(settings: Settings) -> None:
    """Of our own parts; what libraries tell in detail may hold what is no business of a log."""
    level = getattr(logging, (settings.log_level or LEVELS[settings.log]).upper())
    logging.getLogger().setLevel(max(level, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def secrets_of(settings: Settings) -> list[str]:
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
