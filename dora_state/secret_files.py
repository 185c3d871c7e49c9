"""Settings that hold secrets, from files: `DORA_STATE_DATABASE_URL_FILE` names the file with the database URL."""

import os
from collections.abc import Iterable
from pathlib import Path

from domain.errors import InvalidInput

MAX_BYTES = 65_536


def from_files(names: Iterable[str]) -> dict[str, str]:
    """What the files say that the environment names, by the settings' names. Raises InvalidInput; tells no secret."""
    return {name: text for name in sorted(names) if (text := _from_file(f"DORA_STATE_{name.upper()}")) is not None}


def _from_file(variable: str) -> str | None:
    path = os.environ.get(f"{variable}_FILE", "")
    if not path:
        return None
    if os.environ.get(variable):
        raise InvalidInput(f"{variable} and {variable}_FILE are both set; keep one of them.", field=variable)
    text = _read(f"{variable}_FILE", Path(path))
    if not text or "\n" in text:
        raise InvalidInput(f"{variable}_FILE: {path} must hold one line, the setting; correct it and start again.")
    return text


def _read(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode().strip()
    except UnicodeDecodeError:
        reason = "it is no text"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
    raise InvalidInput(f"{variable}: {path} can't be read ({reason}); correct it and start again.", field=variable)
