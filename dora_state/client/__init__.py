"""A light client of the HTTP server, with StateManager's names. It imports no server, no driver and no model.

async with open_client("http://127.0.0.1:8000", key="ds_...") as state_manager:
    workflow = await state_manager.get_workflow("wf-1")
"""

from dora_state.client.answers import Answer, Problem
from dora_state.client.client import Client, open_client
from dora_state.client.transport import ServerError, ServerUnavailable

__all__ = ["Answer", "Client", "Problem", "ServerError", "ServerUnavailable", "open_client"]
