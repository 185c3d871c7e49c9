"""Tokens: only those that the issuer signed for this service and this tenant are taken, and for as long as they say."""

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.errors import DoraStateError
from dora_state.access.caller import Caller, CallerRole, Forbidden, Unauthenticated
from dora_state.access.signing_keys import FRESH_SECONDS, SigningKeys
from dora_state.access.tokens import Expected, Tokens
from tests.support.tokens import AUDIENCE, ISSUER, FakeIssuer, rsa_key

SKEW = 30.0


def tokens_of(issuer: FakeIssuer, **otherwise: Any) -> Tokens:
    usual: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "tenant": "bank",
        "role_claim": "roles",
        "tenant_claim": "tenant",
        "clock_skew": SKEW,
    }
    return Tokens(Expected(**(usual | otherwise)), SigningKeys(issuer.keys))


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def tokens(issuer: FakeIssuer) -> Tokens:
    return tokens_of(issuer)


async def refusal(tokens: Tokens, token: str) -> DoraStateError:
    with pytest.raises((Unauthenticated, Forbidden)) as refused:
        await tokens.caller(token)
    assert len(token) < 20 or token not in f"{refused.value} {refused.value.facts}"
    return refused.value


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_a_good_token_tells_who_asks_and_as_what(tokens: Tokens, issuer: FakeIssuer) -> None:
    caller = await tokens.caller(issuer.token(jti="t-1", roles=["auditor", "offline_access"]))
    assert caller == Caller("ann", CallerRole.AUDITOR, "bank", "token t-1")


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "EdDSA"])
async def test_each_asymmetric_algorithm_is_taken(tokens: Tokens, issuer: FakeIssuer, algorithm: str) -> None:
    issuer.add("two", algorithm)
    assert (await tokens.caller(issuer.token("two"))).name == "ann"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int(time.time()) - SKEW - 5}, "expired"),
        ({"nbf": int(time.time()) + 86_400}, "not_yet"),
        ({"iat": int(time.time()) + 86_400}, "not_yet"),
        ({"iss": "https://login.other.example"}, "issuer"),
        ({"iss": f"{ISSUER}/"}, "issuer"),
        ({"aud": "another-service"}, "audience"),
        ({"aud": ["another-service"]}, "audience"),
        ({"aud": None}, "claims"),
        ({"exp": None}, "claims"),
        ({"iat": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "subject"),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": "s" * 256}, "subject"),
    ],
)
async def test_a_token_that_says_something_else_than_it_must_is_refused(
    tokens: Tokens, issuer: FakeIssuer, claims: dict[str, Any], reason: str
) -> None:
    refused = await refusal(tokens, issuer.token(**claims))
    assert isinstance(refused, Unauthenticated)
    assert refused.facts["reason"] == reason


@pytest.mark.parametrize("claims", [{"exp": float("inf")}, {"exp": "soon"}, {"nbf": [1]}, {"aud": {"a": 1}}])
async def test_claims_of_the_wrong_type_are_refused_and_break_nothing(
    tokens: Tokens, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    assert isinstance(await refusal(tokens, issuer.token(**claims)), Unauthenticated)


async def test_clocks_may_differ_by_as_much_as_is_allowed(tokens: Tokens, issuer: FakeIssuer) -> None:
    now = int(time.time())
    early = issuer.token(iat=now + 20, nbf=now + 20)
    late = issuer.token(exp=now - 20)
    assert [(await tokens.caller(token)).name for token in (early, late)] == ["ann", "ann"]
    strict = tokens_of(issuer, clock_skew=0)
    assert [(await refusal(strict, token)).facts["reason"] for token in (early, late)] == ["not_yet", "expired"]


@pytest.mark.parametrize("tenant", ["other", "bank2", ["other"], None, 7, {"bank": True}])
async def test_a_token_of_another_tenant_is_forbidden(tokens: Tokens, issuer: FakeIssuer, tenant: object) -> None:
    refused = await refusal(tokens, issuer.token(tenant=tenant))
    assert isinstance(refused, Forbidden)
    assert refused.facts["reason"] == "tenant"


async def test_a_token_may_be_of_several_tenants(tokens: Tokens, issuer: FakeIssuer) -> None:
    assert (await tokens.caller(issuer.token(tenant=["other", "bank"]))).tenant == "bank"


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ("reader", CallerRole.READER),
        (["reader", "auditor"], CallerRole.AUDITOR),
        (["auditor", "orchestrator", "operator"], CallerRole.OPERATOR),
        (["auditor", "orchestrator"], None),
        (["admin"], None),
        ([], None),
        (None, None),
        ([["reader"]], None),
    ],
)
async def test_of_several_roles_the_one_counts_that_includes_the_others(
    tokens: Tokens, issuer: FakeIssuer, said: object, role: CallerRole | None
) -> None:
    token = issuer.token(roles=said)
    if role is not None:
        assert (await tokens.caller(token)).role is role
    else:
        assert isinstance(await refusal(tokens, token), Forbidden)


async def test_claims_may_lie_deeper_or_have_dots_in_their_names(issuer: FakeIssuer) -> None:
    deeper = tokens_of(issuer, role_claim="realm_access.roles", tenant_claim="https://bank.example/tenant")
    claims: dict[str, Any] = {"realm_access": {"roles": ["operator"]}, "https://bank.example/tenant": "bank"}
    token = issuer.token(**claims)
    assert (await deeper.caller(token)).role is CallerRole.OPERATOR


async def test_no_algorithm_and_symmetric_ones_are_refused(tokens: Tokens, issuer: FakeIssuer) -> None:
    issuer.add("rsa", "RS256")
    claims = part(jwt.decode(issuer.token(), options={"verify_signature": False}))
    for name in ("none", "None", "NONE", "nOnE"):
        for signature in ("", part("x")):
            assert isinstance(
                await refusal(tokens, f"{part({'alg': name, 'kid': 'one'})}.{claims}.{signature}"), Unauthenticated
            )


async def test_a_public_key_is_no_secret_to_sign_with(tokens: Tokens, issuer: FakeIssuer) -> None:
    issuer.add("rsa", "RS256")
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    claims = part(jwt.decode(issuer.token(), options={"verify_signature": False}))
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{claims}"
    signature = base64.urlsafe_b64encode(key.sign(signed.encode(), public)).decode().rstrip("=")
    assert (await refusal(tokens, f"{signed}.{signature}")).facts["reason"] == "algorithm"


async def test_a_symmetric_key_in_the_published_set_signs_nothing(tokens: Tokens, issuer: FakeIssuer) -> None:
    secret = "0" * 64
    encoded = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
    issuer.members.append({"kty": "oct", "kid": "shared", "alg": "HS256", "k": encoded})
    token = jwt.encode({"iss": ISSUER}, secret, "HS256", headers={"kid": "shared"})
    assert (await refusal(tokens, token)).facts["reason"] == "algorithm"


async def test_a_key_signs_only_with_the_algorithm_that_it_is_published_for(tokens: Tokens, issuer: FakeIssuer) -> None:
    issuer.add("rsa", "RS256", alg="PS256")
    assert (await refusal(tokens, issuer.token("rsa"))).facts["reason"] == "unknown_key"


async def test_a_signature_of_another_or_a_changed_token_is_refused(tokens: Tokens, issuer: FakeIssuer) -> None:
    impostor = FakeIssuer()
    assert (await refusal(tokens, impostor.token())).facts["reason"] == "signature"
    head, claims, signature = issuer.token().split(".")
    changed = part(json.loads(base64.urlsafe_b64decode(claims + "==")) | {"roles": ["operator"]})
    assert (await refusal(tokens, f"{head}.{changed}.{signature}")).facts["reason"] == "signature"


async def test_a_token_that_says_where_its_key_is_is_not_believed(tokens: Tokens, issuer: FakeIssuer) -> None:
    impostor = FakeIssuer()
    headers = {"jwk": impostor.members[0], "jku": "https://evil.example/keys", "kid": "theirs"}
    assert (await refusal(tokens, impostor.token(headers=headers))).facts["reason"] == "unknown_key"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "é.b.c",
        "eyJhbGciOiJFUzI1NiJ9..",
        "Zm9v.Zm9v.Zm9v",
        f"{part([])}.{part({})}.AAAA",
        f"{part({'alg': 'ES256', 'kid': 7})}.{part({})}.AAAA",
        f"{part({'alg': ['ES256']})}.{part({})}.AAAA",
        f"{part({'alg': 'ES256', 'kid': 'one', 'crit': ['exp']})}.{part({})}.AAAA",
        f"{part({'alg': 'ES256', 'kid': 'one', 'b64': False})}.{part({})}.AAAA",
        "[" * 5000 + ".a.b",
        f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.AAAA.AAAA",
        f"{part({'alg': 'ES256', 'kid': 'one'})}.{'A' * 1_000_000}.AAAA",
    ],
    ids=lambda token: token[:20],
)
async def test_garbage_is_refused_and_breaks_nothing(tokens: Tokens, token: str) -> None:
    assert isinstance(await refusal(tokens, token), Unauthenticated)


async def test_a_token_that_was_checked_is_remembered_only_until_it_expires(
    tokens: Tokens, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(exp=int(time.time()) + 60)
    first = await tokens.caller(token)
    monkeypatch.setattr(jwt, "decode", None)
    assert await tokens.caller(token) is first
    monkeypatch.undo()
    then = time.time() + 60 + SKEW + 1
    monkeypatch.setattr(time, "time", lambda: then)
    monkeypatch.setattr("jwt.api_jwt.datetime", _Later(then))
    assert (await refusal(tokens, token)).facts["reason"] == "expired"


async def test_a_token_that_was_checked_is_not_taken_once_its_key_is_given_up(issuer: FakeIssuer) -> None:
    now = 1_000.0
    keys = SigningKeys(issuer.keys, lambda: now)
    tokens = Tokens(Expected(ISSUER, AUDIENCE, "bank", "roles", "tenant", SKEW), keys)
    token = issuer.token()
    await tokens.caller(token)
    issuer.add("two", "ES256")
    del issuer.members[0]
    now += FRESH_SECONDS
    await keys.ready()
    for _ in range(5):  # what is asked in the background
        await asyncio.sleep(0)
    assert (await refusal(tokens, token)).facts["reason"] == "unknown_key"


class _Later:
    """Stands for datetime where the library asks for the time."""

    def __init__(self, then: float) -> None:
        self._then = then

    def now(self, tz: object = None) -> "_Later":
        return self

    def timestamp(self) -> float:
        return self._then


async def test_a_token_that_was_checked_is_remembered_until_it_expires(
    tokens: Tokens, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, other = issuer.token(), issuer.token(sub="bob")
    assert tokens.remembered(token) is None
    await tokens.caller(token)
    found = tokens.remembered(token)
    assert found is not None
    assert (found.name, tokens.remembered(other)) == ("ann", None)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert tokens.remembered(token) is None
