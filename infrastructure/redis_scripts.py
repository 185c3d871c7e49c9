"""The Lua scripts that Redis runs for us, by their names; each is atomic."""

from importlib.resources import files


def _load(name: str) -> str:
    return files("infrastructure").joinpath("lua", f"{name}.lua").read_text()


BEGIN = _load("begin_batch")
PUT = _load("put_newer")
END = _load("end_batch")
