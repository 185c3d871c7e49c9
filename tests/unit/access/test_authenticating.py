"""Who sends a request, by its header; and what is logged of those who are refused."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import DoraStateError
from dora_state.access.api_key import ApiKey, new_key, parse_key
from dora_state.access.authenticating import KeysAndTokens, OpenHouse, may_listen
from dora_state.access.caller import CallerRole, Permission, Unauthenticated
from dora_state.access.key_ring import KeyRing
from dora_state.access.refusals import BURST, Refusals
from infrastructure.access_keys import GoodKey


class Source:
    def __init__(self, *keys: ApiKey) -> None:
        self.keys = keys
        self.expires_at = datetime.now(UTC) + timedelta(days=1)

    async def good(self) -> list[GoodKey]:
        return [GoodKey(key.id, key.digest, "ann", "reader", self.expires_at) for key in self.keys]

    async def note_use(self, ids: Sequence[str]) -> None: ...


def house(*keys: ApiKey) -> tuple[KeysAndTokens, OpenHouse, Source]:
    return house_of(Source(*keys))


def house_of(source: Source) -> tuple[KeysAndTokens, OpenHouse, Source]:
    ring = KeyRing(source, "bank")
    closed = KeysAndTokens("bank", ring, None, Refusals("bank"))
    return closed, OpenHouse("bank", ring, closed), source


async def refused(authenticator: KeysAndTokens | OpenHouse, header: str | None) -> DoraStateError:
    with pytest.raises(Unauthenticated) as found:
        await authenticator.caller(header)
    return found.value


async def test_a_key_tells_who_asks() -> None:
    key = new_key()
    closed, _, _ = house(key)
    for header in (f"Bearer {key.text}", f"bearer {key.text}", f"BEARER  {key.text} "):
        caller = await closed.caller(header)
        assert (caller.name, caller.role, caller.tenant, caller.credential) == (
            "ann",
            CallerRole.READER,
            "bank",
            f"key {key.id}",
        )


async def test_only_the_whole_secret_will_do() -> None:
    key = new_key()
    closed, _, _ = house(key)
    last = "A" if key.secret[-1] != "A" else "B"
    for text in (
        ApiKey(key.id, new_key().secret).text,
        ApiKey(new_key().id, key.secret).text,
        key.text[:-1] + last,
        key.text[:-1],
        key.text + "A",
        key.text.upper(),
        key.id,
        key.secret,
        f"ds_{key.id}_",
        "ds_",
    ):
        error = await refused(closed, f"Bearer {text}")
        assert key.secret not in f"{error} {error.facts}"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "ds_key", "Bearer\tds", "é", "Bearer " + "x" * 100_000]
)
async def test_headers_that_carry_no_key_are_refused(header: str | None) -> None:
    assert (await refused(house(new_key())[0], header)).code == "unauthenticated"


async def test_a_key_that_expires_between_two_looks_is_refused() -> None:
    key = new_key()
    closed, _, source = house(key)
    source.expires_at = datetime.now(UTC)
    assert (await refused(closed, f"Bearer {key.text}")).facts["reason"] == "key"


async def test_only_who_was_let_in_and_still_would_be_is_remembered() -> None:
    key = new_key()
    closed, open_house, source = house(key)
    header = f"Bearer {key.text}"
    assert closed.remembered(header) is None, "nobody was looked up yet"
    await closed.caller(header)
    caller = closed.remembered(header)
    assert caller is not None
    assert caller.name == "ann"
    for other in (
        None,
        "",
        "Basic YTpi",
        f"Bearer {new_key().text}",
        f"Bearer {ApiKey(key.id, new_key().secret).text}",
    ):
        assert closed.remembered(other) is None
    source.expires_at = datetime.now(UTC)
    closed, open_house, _ = house_of(source)
    await refused(closed, header)
    assert closed.remembered(header) is None
    assert open_house.remembered(None) is not None
    await refused(open_house, None)
    assert open_house.remembered(None) is None


def test_keys_have_256_random_bits_and_an_id_that_may_be_told() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == len({key.id for key in keys}) == 100
    for key in keys:
        assert parse_key(key.text) == key
        assert len(key.secret) == 43
        assert key.secret not in repr(key.digest)


async def test_without_any_key_whoever_is_there_may_do_everything() -> None:
    _, open_house, _ = house()
    caller = await open_house.caller(None)
    assert (caller.name, caller.tenant) == ("local", "bank")
    assert all(caller.may(permission) for permission in Permission)


async def test_an_open_house_holds_who_sends_a_key_to_it() -> None:
    _, open_house, _ = house()
    await refused(open_house, f"Bearer {new_key().text}")
    await refused(open_house, "Basic YTpi")


async def test_an_open_house_closes_for_good_with_the_first_key() -> None:
    _, open_house, source = house()
    key = new_key()
    await open_house.caller(None)
    source.keys = (key,)
    await open_house.caller(f"Bearer {key.text}")
    await refused(open_house, None)
    source.keys = ()
    await refused(open_house, f"Bearer {new_key().text}")
    await refused(open_house, None)


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("2130706433", False),
    ],
)
def test_an_open_house_listens_on_loopback_only(host: str, may: bool) -> None:
    assert may_listen(host) is may


async def test_refusals_are_logged_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    key, other = new_key(), new_key()
    closed, _, _ = house(key)
    await refused(closed, f"Bearer {ApiKey(key.id, other.secret).text}")
    await refused(closed, f"Bearer {other.secret}")
    assert other.secret not in caplog.text
    first = caplog.records[0]
    assert first.levelno == logging.WARNING
    assert first.__dict__["refusal"] == {
        "code": "unauthenticated",
        "tenant": "bank",
        "reason": "key",
        "key": key.id,
    }


def test_a_flood_of_refusals_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals("bank", lambda: now)
    for _ in range(10_000):
        refusals.note(Unauthenticated("No."))
    assert len(caplog.records) == BURST
    now = 1.0
    refusals.note(Unauthenticated("No."), host="10.0.0.1")
    assert f"({10_000 - BURST} more were not logged)" in caplog.messages[-1]
    assert "host 10.0.0.1" in caplog.messages[-1]
