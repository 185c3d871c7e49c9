"""The distribution claims plain import names, and installs from locks that name no index."""

import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("domain", "commands", "projections", "infrastructure", "dora_state")
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_provides_our_import_names(package: str) -> None:
    assert set(packages_distributions().get(package, ())) <= {"dora-state"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_code_is_a_package_so_that_it_is_installed(package: str) -> None:
    folders = {file.parent for file in (REPOSITORY / package).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_there_are_locks_for_running_developing_and_locking() -> None:
    assert [lock.stem for lock in LOCKS] == ["dev", "interop", "locking", "mutation", "runtime"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_index_no_address_and_no_path(lock: Path) -> None:
    named = re.compile(r"://|@ |^ *-|index|pypi|/(opt|home|tmp|root|work|usr|var)\b", re.MULTILINE)
    assert named.findall(without_hashes(lock.read_text())) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_everything_with_hashes(lock: Path) -> None:
    lines = lock.read_text().replace("\\\n", "").splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert requirements
    assert [each for each in requirements if not re.match(r"\S+==\S+ +--hash=sha256:", each)] == []


def test_the_runtime_lock_agrees_with_the_one_for_development() -> None:
    runtime, development = (pins(REPOSITORY / "requirements" / f"{name}.txt") for name in ("runtime", "dev"))
    assert runtime.items() <= development.items()


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+)", lock.read_text(), re.MULTILINE))


def without_hashes(lock: str) -> str:
    return re.sub(r" +--hash=sha256:[0-9a-f]{64}", "", lock)
