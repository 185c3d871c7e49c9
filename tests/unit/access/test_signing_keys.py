"""The issuer's keys: followed as they change, kept while it is away, and never asked for as often as strangers like."""

import asyncio
import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from dora_state.access.signing_keys import (
    AGAIN_SECONDS,
    FRESH_SECONDS,
    KEPT_SECONDS,
    MOST_WAITING,
    SigningKeys,
    signing_key,
)
from infrastructure.issuer import IssuerUnavailable
from tests.support.tokens import FakeIssuer, published, rsa_key


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def keys(issuer: FakeIssuer, clock: Clock) -> SigningKeys:
    return SigningKeys(issuer.keys, clock)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_key_that_nobody_knows_yet_is_asked_for(keys: SigningKeys, issuer: FakeIssuer, clock: Clock) -> None:
    assert await keys.find("one", "ES256") is not None
    issuer.add("two", "ES256")
    clock.now += AGAIN_SECONDS
    assert await keys.find("two", "ES256") is not None
    assert issuer.asked == 2


async def test_a_flood_of_unknown_keys_asks_the_issuer_once_in_ten_seconds(
    keys: SigningKeys, issuer: FakeIssuer, clock: Clock
) -> None:
    await keys.ready()
    for second in range(60):
        assert await asyncio.gather(*(keys.find(f"no-{second}-{n}", "ES256") for n in range(20))) == [None] * 20
        clock.now += 1
    assert issuer.asked == 6


async def test_keys_that_are_no_longer_published_are_given_up(
    keys: SigningKeys, issuer: FakeIssuer, clock: Clock
) -> None:
    await keys.ready()
    issuer.add("two", "ES256")
    del issuer.members[0]
    clock.now += FRESH_SECONDS
    before = keys.generation
    assert await keys.find("one", "ES256") is not None  # what is asked in the background does not hold up
    await settled()
    assert await keys.find("two", "ES256") is not None
    assert await keys.find("one", "ES256") is None
    assert keys.generation > before


async def test_keys_are_kept_for_a_day_while_the_issuer_is_away(
    keys: SigningKeys, issuer: FakeIssuer, clock: Clock
) -> None:
    await keys.ready()
    issuer.failure = IssuerUnavailable()
    clock.now += KEPT_SECONDS - 1
    assert await keys.find("one", "ES256") is not None
    await settled()
    clock.now += AGAIN_SECONDS
    with pytest.raises(IssuerUnavailable):
        await keys.find("one", "ES256")
    issuer.failure = None
    clock.now += AGAIN_SECONDS
    assert await keys.find("one", "ES256") is not None


async def test_an_issuer_that_never_answered_is_told_of_and_not_pressed(
    keys: SigningKeys, issuer: FakeIssuer, clock: Clock
) -> None:
    issuer.failure = IssuerUnavailable()
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            await keys.ready()
    assert issuer.asked == 1


async def test_a_token_without_a_key_id_is_taken_only_where_one_key_fits(
    keys: SigningKeys, issuer: FakeIssuer, clock: Clock
) -> None:
    assert await keys.find(None, "ES256") is not None
    issuer.add("two", "ES256")
    clock.now += FRESH_SECONDS
    await keys.ready()
    await settled()
    assert await keys.find(None, "ES256") is None


PRIVATE = published(generate_private_key(SECP256R1()))
EC = {name: value for name, value in PRIVATE.items() if name != "d"}


def test_a_public_key_signs_with_the_algorithm_of_its_curve() -> None:
    found = signing_key(EC)
    assert found is not None
    assert found.algorithms == ("ES256",)


@pytest.mark.parametrize(
    "member",
    [
        None,
        "key",
        [],
        {},
        {"kty": ["RSA"]},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"0" * 64).decode()},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA"},
        EC | {"use": "enc"},
        EC | {"alg": "HS256"},
        EC | {"alg": "none"},
        EC | {"crv": "secp256k1"},
        EC | {"x": "AAAA"},
        EC | {"x": 7},
        EC | {"kid": 7},
        PRIVATE,
    ],
)
def test_what_can_sign_no_token_of_ours_is_left_out(member: Any) -> None:
    assert signing_key(member) is None


def test_an_rsa_key_that_is_too_short_is_left_out() -> None:
    assert signing_key(published(rsa_key(1024).public_key())) is None
    assert signing_key(published(rsa_key().public_key())) is not None


async def test_an_issuer_that_is_slow_holds_up_few_who_name_unknown_keys(clock: Clock) -> None:
    answered, held = asyncio.Event(), FakeIssuer()

    async def fetch() -> list[Any]:
        if held.asked:
            await answered.wait()
        return await held.keys()

    keys = SigningKeys(fetch, clock)
    await keys.ready()
    clock.now += AGAIN_SECONDS
    asking = [asyncio.create_task(keys.find(f"no-{n}", "ES256")) for n in range(MOST_WAITING + 50)]
    await settled()
    assert sum(task.done() for task in asking) == 50
    assert await keys.find("one", "ES256") is not None
    answered.set()
    assert await asyncio.gather(*asking) == [None] * len(asking)
