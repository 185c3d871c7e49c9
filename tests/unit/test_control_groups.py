"""What memory a container may have is what counts in it, whichever way its control groups are told."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dora_state.health.machine import judge_memory
from infrastructure.machine import MemoryVitals, memory_vitals

KB, MB = 1024, 10**6
TOTAL, AVAILABLE = 16_000_000 * KB, 8_000_000 * KB


class Machine:
    """Files as Linux shows them, of a machine of which half the memory is available."""

    def __init__(self, directory: Path, own_groups: str) -> None:
        self.proc, self.groups = directory / "proc", directory / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.groups.mkdir()
        (self.proc / "meminfo").write_text(f"MemTotal: {TOTAL // KB} kB\nMemAvailable: {AVAILABLE // KB} kB\n")
        (self.proc / "self" / "statm").write_text("900 300 100 1 0 200 0\n")
        (self.proc / "self" / "cgroup").write_text(own_groups)

    def group(self, path: str, files: Mapping[str, object]) -> None:
        directory = self.groups / path
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(f"{text}\n")

    def second(self, path: str, limit: object, used: int, files_of_it: int = 0) -> None:
        stat = f"anon {used - files_of_it}\ninactive_file {files_of_it}"
        self.group(path, {"memory.max": limit, "memory.current": used, "memory.stat": stat})

    def first(self, path: str, limit: int, used: int, files_of_it: int = 0) -> None:
        stat = f"inactive_file 1\ntotal_inactive_file {files_of_it}"
        self.group(
            f"memory/{path}",
            {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat},
        )

    @property
    def told(self) -> tuple[int | None, int | None, bool]:
        found = memory_vitals(self.proc, self.groups)
        assert found.own_bytes
        return found.total_bytes, found.available_bytes, found.limited


OF_THE_MACHINE = (TOTAL, AVAILABLE, False)
FIRST_VERSION = "12:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/\n"
NO_LIMIT = 9223372036854771712


def test_a_limit_of_the_container_counts_and_files_that_give_way_are_no_use_of_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    machine.second("", 512 * MB, used=500 * MB, files_of_it=80 * MB)
    assert machine.told == (512 * MB, 92 * MB, True)


def test_a_limit_of_a_group_around_it_counts_too_and_the_tightest_is_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/system.slice/dora.service/worker\n")
    machine.second("system.slice/dora.service/worker", "max", used=90 * MB)
    machine.second("system.slice/dora.service", 100 * MB, used=95 * MB)
    machine.second("system.slice", 1000 * MB, used=900 * MB)
    assert machine.told == (100 * MB, 5 * MB, True)


def test_in_a_container_that_knows_the_path_of_the_host_its_own_group_is_the_root(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/system.slice/docker-abc.scope\n")
    machine.second("", 512 * MB, used=12 * MB + 400 * MB)
    assert machine.told == (512 * MB, 100 * MB, True)


@pytest.mark.parametrize("path", ["docker/abc", ""])
def test_the_first_version_tells_it_too(tmp_path: Path, path: str) -> None:
    machine = Machine(tmp_path, FIRST_VERSION)
    machine.first(path, 256 * MB, used=250 * MB, files_of_it=10 * MB)
    assert machine.told == (256 * MB, 16 * MB, True)


def test_without_a_limit_it_is_the_machine_that_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FIRST_VERSION)
    assert machine.told == OF_THE_MACHINE
    machine.second("", "max", used=90 * MB)
    machine.first("docker/abc", NO_LIMIT, used=90 * MB)
    assert machine.told == OF_THE_MACHINE


def test_a_machine_that_has_less_left_than_the_container_is_what_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    machine.second("", 512 * MB, used=100 * MB)
    assert machine.told == OF_THE_MACHINE


@pytest.mark.parametrize("groups", ["", "nonsense\n", "0::/../../etc\n"])
def test_what_is_not_understood_is_no_limit(tmp_path: Path, groups: str) -> None:
    machine = Machine(tmp_path, groups)
    assert machine.told == OF_THE_MACHINE


def test_a_container_that_is_nearly_full_is_unhealthy_on_a_machine_that_is_not(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    machine.second("", 512 * MB, used=502 * MB)
    check = judge_memory(memory_vitals(machine.proc, machine.groups))
    assert check.status == "unhealthy"
    assert check.message == "10 of 512 MB of memory are left to this process's container or control group."
    assert check.figures["limited"] is True
    assert judge_memory(MemoryVitals(TOTAL, AVAILABLE, 1)).message == "8.2 of 16.4 GB of memory are available."
