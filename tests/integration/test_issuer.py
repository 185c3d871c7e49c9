"""The issuer's keys over HTTP, from a server of any temper."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dora_state.access.caller import Caller, CallerRole, Forbidden, Unauthenticated
from dora_state.access.opening import open_access
from dora_state.servers import Servers
from dora_state.settings import Settings
from infrastructure import issuer as issuing
from infrastructure.issuer import Issuer, IssuerUnavailable, is_trusted_url
from tests.support.tokens import AUDIENCE, FakeIssuer

KEYS = [{"kty": "EC", "kid": "one"}]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        status, body, headers = self.server.answers.get(self.path, (404, b"", {}))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if isinstance(body, bytes):
                self.wfile.write(body)
            else:
                body(self.wfile)
        except OSError:
            pass  # whoever asked has gone

    def log_message(self, *_: object) -> None: ...


class _Server(ThreadingHTTPServer):
    answers: dict[str, tuple[int, Any, dict[str, str]]]


@pytest.fixture
def server() -> Iterator[_Server]:
    made = _Server(("127.0.0.1", 0), _Handler)
    made.answers = {}
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def answer(value: object, status: int = 200, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps(value).encode(), headers


async def test_keys_come_from_where_the_issuer_says(server: _Server, url: str) -> None:
    server.answers["/.well-known/openid-configuration"] = answer({"issuer": url, "jwks_uri": f"{url}/keys"})
    server.answers["/keys"] = answer({"keys": KEYS})
    assert await Issuer(url, None).keys() == KEYS


async def test_keys_come_from_where_the_setting_says(server: _Server, url: str) -> None:
    server.answers["/keys"] = answer({"keys": KEYS})
    assert await Issuer("https://login.bank.example", f"{url}/keys").keys() == KEYS


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://another.example", "jwks_uri": "{url}/keys"},
        {"issuer": "{url}", "jwks_uri": "http://evil.example/keys"},
        {"issuer": "{url}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{url}", "jwks_uri": 7},
        {"issuer": "{url}"},
        {},
    ],
)
async def test_a_description_of_another_issuer_or_of_no_safe_place_is_not_followed(
    server: _Server, url: str, told: dict[str, Any]
) -> None:
    server.answers["/keys"] = answer({"keys": KEYS})
    said = json.loads(json.dumps(told).replace("{url}", url))
    server.answers["/.well-known/openid-configuration"] = answer(said)
    with pytest.raises(IssuerUnavailable, match="does not describe that issuer"):
        await Issuer(url, None).keys()


@pytest.mark.parametrize(
    "given",
    [
        answer({"keys": KEYS}, 500),
        answer({"keys": KEYS}, 302, Location="/other"),
        answer([]),
        answer({"keys": "none"}),
        answer({}),
        (200, b"<html>", {}),
        (200, b"[" * 100_000, {}),
        (200, b"", {}),
        (200, b" " * (issuing.MOST_BYTES + 20_000), {}),
        (200, b"{}", {"Content-Length": "1000"}),
        (200, b"no gzip", {"Content-Encoding": "gzip"}),
    ],
    ids=lambda given: str(given)[:40],
)
async def test_what_is_no_set_of_keys_is_refused(server: _Server, url: str, given: Any) -> None:
    server.answers["/keys"] = given
    server.answers["/other"] = answer({"keys": KEYS})
    with pytest.raises(IssuerUnavailable) as refused:
        await Issuer("https://login.bank.example", f"{url}/keys").keys()
    assert "DORA_STATE_OIDC_JWKS_URL" in str(refused.value)


async def test_an_issuer_that_trickles_is_left_in_time(
    server: _Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "SECONDS_TO_ANSWER", 0.3)
    stop = threading.Event()

    def trickle(wfile: Any) -> None:
        while not stop.wait(0.02):
            wfile.write(b" ")
            wfile.flush()

    server.answers["/keys"] = (200, trickle, {})
    with pytest.raises(IssuerUnavailable, match="HTTPError"):
        await Issuer("https://login.bank.example", f"{url}/keys").keys()
    stop.set()


async def test_an_issuer_that_does_not_answer_is_told_of_in_one_sentence(url: str) -> None:
    with pytest.raises(IssuerUnavailable, match=r"can't be had from http://127.0.0.1:1/keys \(") as refused:
        await Issuer("https://login.bank.example", "http://127.0.0.1:1/keys").keys()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://login.bank.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://[::1]/keys", True),
        ("http://login.bank.example/keys", False),
        ("https://user:secret@login.bank.example/keys", False),
        ("ftp://login.bank.example", False),
        ("login.bank.example", False),
        ("https://[2001:db8::1]:8443/keys", True),
        ("https://a,b/keys", False),
        ("https://", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_only_https_or_this_machine_is_trusted(url: str, trusted: bool) -> None:
    assert is_trusted_url(url) is trusted


async def test_a_server_takes_tokens_of_its_issuer_for_its_tenant(
    server: _Server, url: str, database_url: str, tenant: str
) -> None:
    issuer = FakeIssuer()
    server.answers["/.well-known/openid-configuration"] = answer({"issuer": url, "jwks_uri": f"{url}/keys"})
    server.answers["/keys"] = answer({"keys": issuer.members})
    settings = Settings(tenant=tenant, oidc_issuer=url, oidc_audience=AUDIENCE)
    async with open_access(settings, Servers(database_url, None, None)) as access:
        token = issuer.token(iss=url, tenant=tenant, roles=["auditor"], jti="t-1")
        caller = await access.authenticator.caller(f"Bearer {token}")
        assert caller == Caller("ann", CallerRole.AUDITOR, tenant, "token t-1")
        with pytest.raises(Forbidden, match=f"not for tenant {tenant}"):
            await access.authenticator.caller(f"Bearer {issuer.token(iss=url, tenant='another')}")
        for other in (FakeIssuer().token(iss=url, tenant=tenant), issuer.token(iss=f"{url}0", tenant=tenant)):
            with pytest.raises(Unauthenticated):
                await access.authenticator.caller(f"Bearer {other}")


async def test_without_its_issuer_a_server_says_so_and_takes_no_token(database_url: str, tenant: str) -> None:
    settings = Settings(tenant=tenant, oidc_issuer="http://127.0.0.1:1", oidc_audience=AUDIENCE)
    async with open_access(settings, Servers(database_url, None, None)) as access:
        with pytest.raises(IssuerUnavailable):
            await access.authenticator.caller(f"Bearer {FakeIssuer().token(tenant=tenant)}")
