"""What programs that run long log: a JSON object a line, with what is being done, and never a secret."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dora_state.cli.logs import SpokenWarnings
from dora_state.cli.service_log import begin_log
from dora_state.settings import Settings, load_settings
from dora_state.watching.context import doing
from dora_state.watching.logs import OURS
from dora_state.watching.redaction import redactor

log = logging.getLogger("dora_state.anything")
URL = "postgresql://bank:correct%20horse@db.internal:5432/state"


@pytest.fixture
def begun(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Begin a log by settings, and read what was logged."""
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in OURS]
    before = (list(root.handlers), root.level, [one.level for one in ours])

    def begin(**settings: Any) -> list[dict[str, Any]]:
        if settings:
            root.handlers = [SpokenWarnings(debug=False)]
            begin_log(load_settings(tenant="bank", **settings))
            return []
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield begin
    root.handlers, level = before[0], before[1]
    root.setLevel(level)
    for one, level in zip(ours, before[2], strict=True):
        one.setLevel(level)


def test_a_line_says_when_how_bad_who_what_and_whose(begun: Callable[..., list[dict[str, Any]]]) -> None:
    begun(log="json")
    log.info("Snapshots were taken: %d.", 3)
    (line,) = begun()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "dora_state.anything",
        "message": "Snapshots were taken: 3.",
        "tenant": "bank",
    }


async def test_a_line_says_what_is_being_done_and_tasks_side_by_side_do_not_mix(
    begun: Callable[..., list[dict[str, Any]]],
) -> None:
    begun(log="json")

    async def work(id: str) -> None:
        with doing(correlation_id=id, trace_id=f"t-{id}"):
            await asyncio.sleep(0)
            log.warning("%s", id)

    await asyncio.gather(work("a"), work("b"))
    log.warning("Another.", extra={"command_id": "c-1"})
    first, second, third = begun()
    assert (first["correlation_id"], first["trace_id"]) == ("a", "t-a")
    assert (second["correlation_id"], second["trace_id"]) == ("b", "t-b")
    assert ("correlation_id" in third, third["command_id"]) == (False, "c-1")


def test_an_error_is_one_line_with_its_traceback_and_without_the_secrets_in_it(
    begun: Callable[..., list[dict[str, Any]]],
) -> None:
    begun(log="json", database_url=URL)
    try:
        raise RuntimeError(f"could not connect to {URL} with correct horse")
    except RuntimeError:
        log.exception("It failed for %s", URL)
    (line,) = begun()
    assert "Traceback" in line["error"]
    assert "RuntimeError" in line["error"]
    assert "db.internal" in line["message"]
    assert "horse" not in json.dumps(line)


def test_sentences_are_without_secrets_too(
    begun: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    begun(log="text", database_url=URL)
    log.warning("The password correct horse is refused by %s", URL)
    told = capsys.readouterr().err
    assert "db.internal" in told
    assert "horse" not in told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"log": "json"}, ["info", "warning", "error"]),
        ({"log": "json", "log_level": "error"}, ["error"]),
        ({"log": "json", "log_level": "debug"}, ["debug", "info", "warning", "error"]),
    ],
)
def test_the_level_is_as_the_settings_say(
    begun: Callable[..., list[dict[str, Any]]], settings: dict[str, str], told: list[str]
) -> None:
    begun(**settings)
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("x")
    assert [line["level"] for line in begun()] == told


def test_what_libraries_tell_in_detail_is_no_business_of_a_log(begun: Callable[..., list[dict[str, Any]]]) -> None:
    begun(log="json", log_level="debug")
    logging.getLogger("redis").info("GET some document")
    assert begun() == []


def test_text_that_is_no_unicode_is_logged_all_the_same(begun: Callable[..., list[dict[str, Any]]]) -> None:
    begun(log="json")
    log.warning("file \udce4 of %s", b"x\xff")
    (line,) = begun()
    assert "file ? of" in line["message"]


@pytest.mark.parametrize(
    "text",
    [
        "redis://:hunter22secret@cache:6379/0",
        "postgresql://me:p@ss/hunter22secret@db/x is away",
        "host=db user=me password=hunter22secret dbname=x",
        "host=db password='hunter22secret with space' dbname=x",
        '{"password": "hunter22secret", "user": "me"}',
        "{'api_key': 'hunter22secret'}",
        r'{"body": "{\"user\": \"me\", \"password\": \"hunter22secret with space\"}"}',
        "Authorization: Bearer hunter22secret",
        "authorization=Basic aHVudGVyMjJzZWNyZXQ=",
        "[(b'authorization', b'Bearer hunter22secret')]",
        "Authorization: hunter22secret",
        "https://api/x?client_secret=hunter22secret&page=2",
        "PGPASSWORD=hunter22secret psql failed",
        "POSTGRES_PASSWORD: hunter22secret",
        "Server=db;Uid=me;Pwd=hunter22secret;",
        "passphrase = 'hunter22secret with space'",
        "grant_type=refresh_token&refresh_token=hunter22secret&scope=x",
        '{"id_token": "hunter22secret", "aws_secret_access_key": "hunter22secret"}',
        "Cookie: theme=dark; sid=hunter22secret",
        'Set-Cookie: sid="hunter22secret"; Path=/',
        "[(b'host', b'x'), (b'cookie', b'theme=dark; sid=hunter22secret')]",
        "cookies={'sid': 'hunter22secret'}",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter22secret\nhunter22secret\n-----END RSA PRIVATE KEY-----",
        '{"key": "-----BEGIN PRIVATE KEY-----\\nhunter22secret\\n-----END PRIVATE KEY-----"}',
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nhunter22secret and cut off",
        "the key ds_0190d8a4_hunter22secret was refused",
        "the token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyMnNlY3JldCJ9.c2lnbmF0dXJl has expired",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = redactor()(text)
    for secret in ("hunter22secret", "aHVudGVyMjJzZWNyZXQ", "eyJzdWIi", "with space"):
        assert secret not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("postgresql://db/x?user=me&password=correct%20horse", "it said correct horse"),
        ("postgresql://db/x?user=me&password=correct%20horse", "it said correct%20horse"),
        ("unix:///run/redis.sock?password=correct+horse&db=0", "it said correct horse"),
        ("rediss://cache:6379/0?ssl_password=correct%20horse", "it said correct horse"),
        ("host=db user=me password='correct horse' dbname=x", "it said correct horse"),
        ("host=db user=me password = correcthorse", "it said correcthorse"),
        ("correct horse", "it said correct horse"),
    ],
)
def test_a_secret_of_the_settings_is_hidden_however_it_was_set(setting: str, text: str) -> None:
    assert redactor([setting])(text) == "it said ***"
    assert redactor([setting])("db, user me, /run/redis.sock") == "db, user me, /run/redis.sock"


@pytest.mark.parametrize(
    "text",
    [
        "The worker of tenant bank is running (projector, chores); stop it with Ctrl-C.",
        "PostgreSQL can't be reached at db, port 5432, database state (connection refused): start it.",
        "postgresql://dora_state@/dora_state?host=%2Frun%2Fdora",
        "Position 12 of workflow-wf-1: the token 5 is not the lock's.",
        "task-ds-1 was timed out by user@example.com",
        "The cookie was sent, and the session ended; the secret is kept in POSTGRES_PASSWORD_FILE=/run/secrets/x.",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "Lock-Token: 7, and min_position=12; the passwords were counted.",
    ],
)
def test_what_is_no_secret_is_told_as_it_is(text: str) -> None:
    assert redactor()(text) == text


@pytest.mark.parametrize(
    "text", ["a-" * 50_000, "password" * 12_000, "-----BEGIN PRIVATE KEY-----" * 4_000, "cookie=" * 9_000]
)
def test_no_text_takes_long_whoever_wrote_it(text: str) -> None:
    """With a repetition that has no bound, each of these would take minutes; the suite's time limit ends it."""
    assert redactor()(text)


def test_a_secret_of_this_process_is_hidden_wherever_it_stands() -> None:
    assert redactor([URL, "a-secret-of-its-own"])("correct horse, correct%20horse; a-secret-of-its-own.") == (
        "***, ***; ***."
    )


def test_no_setting_that_is_a_secret_is_shown() -> None:
    settings = Settings(database_url=URL, redis_url="redis://:hunter22secret@cache/0")  # type: ignore[arg-type]
    assert "hunter22" not in repr(settings)
    assert "horse" not in repr(settings)
