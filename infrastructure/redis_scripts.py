"""The Lua scripts that Redis runs for us, by their names; each is atomic, and its keys have one cluster tag."""

from importlib.resources import files


def _load(name: str) -> str:
    return files("infrastructure").joinpath("lua", f"{name}.lua").read_text()


_COMMON = _load("common")
BEGIN = _COMMON + _load("begin")
COPY_BATCH = _COMMON + _load("copy_batch")
END_BATCH = _COMMON + _load("end_batch")
OFFER = _COMMON + _load("offer")
TEND = _COMMON + _load("tend")
TURN = _COMMON + _load("turn")
NOTE_USE = _load("note_use")
PUT_PRESENCE = _load("put_presence")
TAKE_COMMANDS = _load("take_commands")
SETTLE_COMMANDS = _load("settle_commands")
BURY_COMMAND = _load("bury_command")
REVIVE_COMMAND = _load("revive_command")
