"""The queue of commands: sent by anyone who reaches the broker, carried out by workers (docs/queue.md)."""

from dora_state.queue.sending import CommandQueue, open_command_queue

__all__ = ["CommandQueue", "open_command_queue"]
