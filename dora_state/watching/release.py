"""Which release of dora-state this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    try:
        return version("dora-state")
    except PackageNotFoundError:
        return "unknown"
