"""Settings with secrets come from files, too, and from one place at a time."""

from pathlib import Path

import pytest

from domain.errors import InvalidInput
from dora_state.settings import load_settings

URL = "postgresql://login:hunter2@database:5432/dora_state"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DORA_STATE_DATABASE_URL_FILE", str(tmp_path / "url"))
    return tmp_path / "url"


@pytest.mark.parametrize("name", ["database_url", "redis_url", "broker_url"])
def test_a_setting_with_a_secret_is_read_from_the_file_that_is_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file.write_text(f"{URL}\n")
    if name != "database_url":
        monkeypatch.setenv(f"DORA_STATE_{name.upper()}_FILE", str(tmp_path / name))
        (tmp_path / name).write_text("redis://:hunter2@cache:6379/0")
    found = getattr(load_settings(), name)
    assert found.get_secret_value() == (URL if name == "database_url" else "redis://:hunter2@cache:6379/0")


def test_a_setting_and_its_file_are_refused_together(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(URL)
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", URL)
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert refused.value.message == (
        "DORA_STATE_DATABASE_URL and DORA_STATE_DATABASE_URL_FILE are both set; keep one of them."
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"one\nhunter2", b"\xffhunter2", None])
def test_a_file_that_says_nothing_or_too_much_is_named_and_not_quoted(file: Path, content: bytes | None) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert str(file) in refused.value.message
    assert "hunter2" not in refused.value.message


def test_what_a_file_says_is_checked_like_the_setting_itself(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(URL)
    monkeypatch.setenv("DORA_STATE_REDIS_URL_FILE", str(tmp_path / "redis"))
    (tmp_path / "redis").write_text("http://:hunter2@cache")
    with pytest.raises(InvalidInput) as refused:
        load_settings()
    assert refused.value.message.startswith("DORA_STATE_REDIS_URL: is no Redis URL")
    assert "hunter2" not in refused.value.message


def test_what_a_program_says_itself_goes_before_any_file(file: Path) -> None:
    assert load_settings(database_url=None).database_url is None
    assert not file.exists()
