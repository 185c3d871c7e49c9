"""The keys of a tenant's queue. What dramatiq keeps is named as its script `dispatch.lua` says."""

from uuid import UUID

from infrastructure.command_queue.messages import QUEUE


class QueueKeys:
    """All have the tenant's tag. `waiting` lists ids of messages, in order; `messages` holds what they say."""

    def __init__(self, tenant: str) -> None:
        self.namespace = f"dora-state-commands:{{{tenant}}}"
        self.waiting = f"{self.namespace}:{QUEUE}"
        self.messages = f"{self.waiting}.msgs"
        self.later = f"{self.waiting}.DQ"
        """Lists the ids of messages that were sent with a delay; `later_messages` holds what they say."""
        self.later_messages = f"{self.later}.msgs"
        self.heartbeats = f"{self.namespace}:__heartbeats__"
        self.dead = f"{self.namespace}:dead"
        self.dead_messages = f"{self.dead}.messages"
        self.dead_reasons = f"{self.dead}.reasons"
        self.answered = f"{self.namespace}:answered"
        """The channel on which workers tell the ids of commands that they have answered."""

    def in_hand(self, consumer: str) -> str:
        """The ids that a consumer has taken and not answered."""
        return f"{self.namespace}:__acks__.{consumer}.{QUEUE}"

    def answer(self, command_id: UUID) -> str:
        return f"{self.namespace}:answer:{command_id}"
