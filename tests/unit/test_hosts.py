"""What can be no name of a host is told by itself, before a server or a resolver is bothered."""

import asyncio
from pathlib import Path

import pytest

from domain.errors import InvalidInput
from dora_state.http.serving import serve
from dora_state.settings import load_settings
from infrastructure.hosts import can_be_host


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "::1%eth9", "db.bank.example", "db.bank.example.", "bücher.example", "1"]
)
def test_names_and_addresses_can_be_hosts(host: str) -> None:
    assert can_be_host(host)


@pytest.mark.parametrize("host", ["", " ", "a b", "a..b", ".a", "a" * 64, "a\0b", "a\nb", "\udcff", "\u200b"])
async def test_a_server_is_not_begun_for_what_can_be_no_host(host: str, tmp_path: Path) -> None:
    assert not can_be_host(host)
    settings = load_settings(home=tmp_path / "home")
    with pytest.raises(InvalidInput, match="--host takes a name or an address") as refused:
        await serve(settings, host, 0, asyncio.Event(), pytest.fail)
    assert "idna" not in str(refused.value)
    assert not (tmp_path / "home").exists()
