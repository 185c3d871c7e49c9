"""`dora-state locks` as an operator sees it."""

import asyncio
from pathlib import Path

from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from tests.support.command_line import CommandLine


async def test_who_holds_what_is_shown(database_url: str, redis_url: str, tenant: str, tmp_path: Path) -> None:
    line = CommandLine(
        tmp_path,
        DORA_STATE_DATABASE_URL=database_url,
        DORA_STATE_REDIS_URL=redis_url,
        DORA_STATE_TENANT=tenant,
    )
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        assert (await asyncio.to_thread(line, "locks")).out == "Nobody holds a lock.\n"
        async with manager.exclusive_lock("workflow:w", holder="the auditor") as lock:
            told = (await asyncio.to_thread(line, "locks")).out
            assert told.startswith("workflow-w  the auditor, since ")
            assert told.endswith(f", token {lock.token})\n")
            (found,) = (await asyncio.to_thread(line, "locks", "--json")).json_lines
            assert (found["stream_id"], found["holder"], found["waiters"]) == ("workflow-w", "the auditor", [])
