"""What is known against the locks: told, accepted for a while, and never "nothing" where nobody could say so."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from supply.accepted import ACCEPTED, read_accepted
from supply.audit import FINE, NOT_ASKED, VULNERABLE, main
from supply.index import of_pip
from supply.known import KNOWN_TO_ALL
from supply.pins import read_lock, read_locks
from tests.support.advisories import OLD, Told, advisory, telling

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:1"
HASH = f"--hash=sha256:{'0' * 64}"
PAGE = "/pypi/example/1.2.0/json"
OLD_PAGE = f"/pypi/{KNOWN_TO_ALL.name}/{KNOWN_TO_ALL.version}/json"
SAFE: dict[str, Any] = {PAGE: {"vulnerabilities": []}, OLD_PAGE: {"vulnerabilities": [{"id": "PYSEC-OLD"}]}}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(f"example==1.2.0 \\\n    {HASH}\n    # via something\n")
    return path


def audit(lock: Path, *more: str, osv: str = NOBODY, index: str = NOBODY) -> int:
    nothing = lock.with_name("nothing.toml")
    nothing.touch()
    chosen = () if "--accepted" in more else ("--accepted", str(nothing))
    return main(["--lock", str(lock), "--osv", osv, "--index", index, *chosen, *more], NOW)


def by_osv(lock: Path, told: Told, *more: str) -> int:
    return audit(lock, *more, osv=told.url)


def test_a_vulnerability_of_a_pin_is_told_with_its_names_and_what_mends_it(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = advisory("PYSEC-1", "example", fixed="1.3.0", aliases=["CVE-1"])
    with telling(advisories=[OLD, bad]) as told:
        assert by_osv(lock, told) == VULNERABLE
    out = capsys.readouterr().out
    assert "example 1.2.0: PYSEC-1 = CVE-1: about example (mended in 1.3.0) [lock]" in out
    assert "1 packages, 1 known vulnerabilities, 0 of them accepted" in out


def test_one_vulnerability_in_two_databases_is_one(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = [advisory("GHSA-1", "example", aliases=["CVE-1"]), advisory("PYSEC-1", "example", aliases=["CVE-1"])]
    with telling(advisories=[OLD, *twice], page_size=1) as told:
        assert by_osv(lock, told) == VULNERABLE
    assert "GHSA-1 = CVE-1 = PYSEC-1" in capsys.readouterr().out


def test_what_strangers_write_does_nothing_to_a_terminal(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with telling(advisories=[OLD, advisory("PYSEC-1", "example", summary="\x1b[2Jgone\x07")]) as told:
        assert by_osv(lock, told) == VULNERABLE
    assert "?[2Jgone?" in capsys.readouterr().out


def test_what_was_withdrawn_is_none(lock: Path) -> None:
    withdrawn = advisory("PYSEC-1", "example", withdrawn="2026-01-01T00:00:00Z")
    with telling(advisories=[OLD, withdrawn]) as told:
        assert by_osv(lock, told) == FINE


def test_where_the_service_can_not_be_reached_the_index_is_asked(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with telling(pages=SAFE) as told:
        assert audit(lock, index=told.url) == FINE
    assert "1 packages, 0 known vulnerabilities" in capsys.readouterr().out
    found = {
        "vulnerabilities": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["1.3"], "details": "Bad.\nMore."}]
    }
    with telling(pages=SAFE | {PAGE: found}) as told:
        assert audit(lock, index=told.url) == VULNERABLE
    assert "PYSEC-1 = CVE-1: Bad. (mended in 1.3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "what",
    [
        pytest.param({"advisories": []}, id="a service that knows nothing"),
        pytest.param({"always": b"{}"}, id="something else that answers"),
        pytest.param({"always": b"<html>log in</html>"}, id="a proxy that wants a login"),
        pytest.param({"always": b"[" * 100_000}, id="an answer without end"),
        pytest.param({"pages": SAFE | {OLD_PAGE: {"vulnerabilities": []}}}, id="an index that tells of none"),
        pytest.param({"pages": {OLD_PAGE: SAFE[OLD_PAGE]}}, id="an index that does not know a pin"),
        pytest.param({"pages": SAFE | {PAGE: {"info": {}}}}, id="an index that leaves vulnerabilities out"),
        pytest.param(
            {"pages": SAFE | {PAGE: {"vulnerabilities": [7]}}}, id="an index that says what nobody understands"
        ),
    ],
)
def test_who_can_not_tell_was_not_asked(lock: Path, what: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with telling(**what) as told:
        assert audit(lock, osv=told.url, index=told.url) == NOT_ASKED
        assert told.asked
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: Nobody could be asked, so nothing is known about these 1 packages (")


def test_an_advisory_under_another_name_than_was_asked_for_is_not_believed(lock: Path) -> None:
    with telling(advisories=[OLD, advisory("../../x", "example")]) as told:
        assert by_osv(lock, told) == NOT_ASKED
        assert "/v1/vulns/../../x" not in told.asked
    with telling(advisories=[OLD, advisory("PYSEC-1", "example")], pages={"/v1/vulns/PYSEC-1": OLD}) as told:
        assert by_osv(lock, told) == NOT_ASKED


def folder(tmp_path: Path, *advisories: dict[str, Any]) -> list[str]:
    (tmp_path / "advisories").mkdir()
    for one in advisories:
        (tmp_path / "advisories" / f"{one['id']}.json").write_text(json.dumps(one))
    return ["--advisories", str(tmp_path / "advisories")]


@pytest.mark.parametrize(
    ("range", "is_concerned"),
    [
        ({}, True),
        ({"fixed": "1.2.0"}, False),
        ({"fixed": "1.10"}, True),
        ({"introduced": "1.2.1"}, False),
        ({"introduced": "1.2", "fixed": "1.2.0.post1"}, True),
    ],
)
def test_a_folder_of_advisories_is_read_where_nobody_may_be_asked(
    lock: Path, tmp_path: Path, range: dict[str, str], is_concerned: bool
) -> None:
    given = folder(tmp_path, OLD, advisory("PYSEC-1", "Example", **range), advisory("PYSEC-2", "another"))
    assert audit(lock, *given) == (VULNERABLE if is_concerned else FINE)


def test_the_last_version_with_a_vulnerability_has_it(lock: Path, tmp_path: Path) -> None:
    one = advisory("PYSEC-1", "example")
    one["affected"][0]["ranges"][0]["events"] = [{"introduced": "0"}, {"last_affected": "1.2"}]
    assert audit(lock, *folder(tmp_path, OLD, one)) == VULNERABLE


def test_advisories_in_yaml_are_read_too(lock: Path, tmp_path: Path) -> None:
    given = folder(tmp_path, OLD)
    (tmp_path / "advisories" / "one.yaml").write_text(
        "id: PYSEC-1\nmodified: 2026-11-20T00:00:00Z\n"
        "affected: [{package: {name: example, ecosystem: PyPI}, versions: ['1.2.0']}]\n"
    )
    assert audit(lock, *given) == VULNERABLE


@pytest.mark.parametrize(
    "advisories",
    [
        pytest.param([], id="empty"),
        pytest.param([OLD | {"modified": "2026-10-01T00:00:00Z"}], id="forgotten"),
        pytest.param([advisory("PYSEC-1", "another")], id="without what everybody knows"),
        pytest.param([OLD, advisory("PYSEC-1", "example", fixed="tomorrow")], id="with a bound that is no version"),
        pytest.param([OLD, {"id": "PYSEC-1", "modified": "soon"}], id="without times"),
        pytest.param([OLD, advisory("PYSEC-1", "example") | {"affected": 7}], id="with something else"),
    ],
)
def test_a_folder_that_can_not_tell_was_not_asked(lock: Path, tmp_path: Path, advisories: list[dict[str, Any]]) -> None:
    assert audit(lock, *folder(tmp_path, *advisories)) == NOT_ASKED


ENTRY = 'id = "CVE-1"\npackage = "Example"\nuntil = {}\nreason = "It is not called."\n'


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (ENTRY.format("2026-11-26"), FINE),
        (ENTRY.format("2026-11-25"), VULNERABLE),
        (ENTRY.format("2026-12-01").replace("Example", "another"), VULNERABLE),
        (ENTRY.format("2026-12-01").replace("CVE-1", "CVE-2"), VULNERABLE),
        (ENTRY.format("2027-12-01"), NOT_ASKED),
        (ENTRY.format("2026-12-01T00:00:00Z"), NOT_ASKED),
        (ENTRY.format("2026-12-01").replace("It is not called.", " "), NOT_ASKED),
        (ENTRY.format("2026-12-01") + 'for_ever = "yes"\n', NOT_ASKED),
        ('id = "CVE-1"\n', NOT_ASKED),
    ],
)
def test_a_vulnerability_is_accepted_with_a_reason_and_until_a_day(
    lock: Path, tmp_path: Path, entry: str, code: int
) -> None:
    path = tmp_path / "accepted.toml"
    path.write_text(f"[[accepted]]\n{entry}")
    given = folder(tmp_path, OLD, advisory("PYSEC-1", "example", aliases=["CVE-1"]))
    assert audit(lock, *given, "--accepted", str(path)) == code


def test_what_is_accepted_and_not_there_is_said(lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "accepted.toml"
    path.write_text(f"[[accepted]]\n{ENTRY.format('2026-12-01')}")
    assert audit(lock, *folder(tmp_path, OLD), "--accepted", str(path)) == FINE
    assert "CVE-1 of example is accepted until 2026-12-01, and not needed: take it out." in capsys.readouterr().out


def test_our_own_list_of_what_is_accepted_is_as_it_must_be() -> None:
    read_accepted(ACCEPTED, datetime.now(UTC).date())


def test_every_lock_is_audited() -> None:
    locks = {name for names in read_locks().values() for name in names}
    assert locks == {"dev", "interop", "locking", "mutation", "runtime"}


def test_a_line_of_a_lock_that_pins_nothing_by_hashes_is_an_error(lock: Path) -> None:
    for line in ("example", "example==1.0", f"example>=1.0 {HASH}", "-r other.txt", f"example @ https://x/y {HASH}"):
        lock.write_text(f"{line}\n")
        with pytest.raises(ValueError, match="pins nothing by hashes"):
            read_lock(lock)
        assert audit(lock) == NOT_ASKED


def test_the_index_is_the_one_that_pip_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.bank.example/root/simple/")
    assert of_pip() == "https://packages.bank.example/root"


def test_a_lock_or_a_folder_that_there_is_not_is_named(
    lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = str(tmp_path / "nothing")
    assert main(["--lock", nothing]) == 2
    assert capsys.readouterr().err == f"Error: {nothing} can't be read (No such file or directory); name another one.\n"
    assert main(["--lock", str(lock), "--advisories", nothing]) == 2
    assert f"there is no folder {nothing}" in capsys.readouterr().err
