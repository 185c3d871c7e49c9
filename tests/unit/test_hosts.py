"""What can be no name of a host is told by itself, before a server or a resolver is bothered."""

import asyncio
from pathlib import Path

import pytest

from domain.errors import InvalidInput
from dora_state.http.serving import serve
from dora_state.settings import load_settings
from infrastructure.hosts import can_be_host

LABELS = ".".join(["a" * 63] * 3)
NAMES = [
    "localhost",
    "db.bank.example",
    "db.bank.example.",
    "bücher.example",
    "Redis_cache.svc-1",
    "1",
    f"{LABELS}.{'a' * 61}",
    f"{LABELS}.{'a' * 61}.",
]
ADDRESSES = ["127.0.0.1", "::1", "::1%eth9", "fe80::1%eth0.10"]
NEITHER = ["", " ", "a b", "a..b", ".", ".a", "a" * 64, "a\0b", "a\nb", "\udcff", "\u200b", "a\u200bb", "ü" * 60]
TOO_LONG = [f"{LABELS}.{'a' * 62}", f"{LABELS}.{'a' * 62}.", "a." * 100_000, "ü" * 100_000]
MORE_THAN_A_HOST = ["0.0.0.0:9464", "h:1", "http://0.0.0.0", "[::1]", "[::1]:1", "*", "a,b", "/tmp", "@a", "a@b", "h/0"]


@pytest.mark.parametrize("host", [*NAMES, *ADDRESSES])
def test_names_and_addresses_can_be_hosts(host: str) -> None:
    assert can_be_host(host)


@pytest.mark.parametrize("host", [*NEITHER, *TOO_LONG, *MORE_THAN_A_HOST])
async def test_a_server_is_not_begun_for_what_can_be_no_host(host: str, tmp_path: Path) -> None:
    assert not can_be_host(host)
    settings = load_settings(home=tmp_path / "home")
    with pytest.raises(InvalidInput, match="--host takes a name or an address") as refused:
        await serve(settings, host, 0, asyncio.Event(), pytest.fail)
    assert "idna" not in str(refused.value)
    assert not (tmp_path / "home").exists()
