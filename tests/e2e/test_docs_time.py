"""docs/time.md tells the truth: each command in it is run, and says what the page says that it says."""

import re
import shlex
from pathlib import Path

import pytest

from infrastructure.embedded import EmbeddedServers
from tests.support.command_line import CommandLine
from tests.support.homes import furnish

ROOT = Path(__file__).parents[2]
TIMES = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z|\d+\.\d s, \d+ a second")


def examples() -> list[tuple[str, list[str]]]:
    """Commands with the lines that follow them; those on the bank's log need a file that is not everywhere."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```\n(.*?)```", (ROOT / "docs" / "time.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif found:
                found[-1][1].append(line)
    return [(command, lines) for command, lines in found if "--tenant bank" not in command]


def told(line: str) -> str:
    """A line without what differs from run to run."""
    return TIMES.sub("WHEN", line).rstrip()


@pytest.mark.timeout(300)
def test_every_command_of_the_page_says_what_it_says(tmp_path: Path) -> None:
    assert len(examples()) >= 9
    dora_state = CommandLine(tmp_path / "h", directory=tmp_path)
    with EmbeddedServers(furnish(tmp_path / "h")):
        assert dora_state("submit", str(ROOT / "docs" / "examples" / "assessment.jsonl")).code == 1
        for command, lines in examples():
            program, *arguments = shlex.split(command)
            assert program == "dora-state"
            ended = dora_state(*arguments)
            said = [told(line) for line in (ended.out + ended.err).splitlines()]
            place = 0
            for line in map(told, lines):
                if line.strip() == "...":
                    continue
                assert line in said[place:], f"{command}: {line!r} is not in {said}"
                place = said.index(line, place) + 1
