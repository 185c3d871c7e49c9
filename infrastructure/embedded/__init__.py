"""A real PostgreSQL and a real Valkey under a home directory, shared by all processes that use it.

A start: take ``start.lock``, share ``users.lock``, start a supervisor if none holds ``supervisor.lock``,
wait until a connection to each server works. The supervisor (`supervisor`) is the parent of the servers,
starts them again when they are killed, and stops them when nobody shares ``users.lock`` any more. Nobody
trusts a process id: who is alive is told by the locks, which the kernel frees however a process ends.
"""

from .errors import EmbeddedServerError
from .servers import EmbeddedServers

__all__ = ["EmbeddedServerError", "EmbeddedServers"]
