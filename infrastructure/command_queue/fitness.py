"""Whether a Redis may carry commands: it must not throw any away, and should keep them over a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import DoraStateError

NO_EVICTION = "noeviction"
FULL = 0.9
"""Of its memory; the rest is for workers, which need some to take and to answer what waits."""


class BrokerUnfit(DoraStateError):
    """The broker may lose commands, and takes none."""

    code = "broker_unfit"


class BrokerFull(DoraStateError):
    """The broker has no room for more commands; try again when workers have come further."""

    code = "broker_full"


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the server tells of itself. `persists`: it keeps an append-only file. `used` is the share of its memory."""

    eviction: str
    persists: bool
    is_cluster: bool
    used: float = 0.0

    @classmethod
    def told(cls, info: Mapping[str, Any]) -> "Fitness":
        """By the answer to INFO."""
        return cls(
            eviction=str(info.get("maxmemory_policy", NO_EVICTION)),
            persists=str(info.get("aof_enabled")) == "1",
            is_cluster=str(info.get("cluster_enabled")) == "1",
            used=int(info.get("used_memory", 0)) / most if (most := int(info.get("maxmemory", 0))) else 0.0,
        )

    @property
    def unfit_because(self) -> str | None:
        """One sentence, if it must not take commands."""
        if self.is_cluster:
            return "The broker is a Redis Cluster, which can't be one: name a single server in DORA_STATE_BROKER_URL."
        if self.eviction != NO_EVICTION:
            return (
                f"The broker drops keys when it is full (maxmemory-policy {self.eviction}) and takes no commands: "
                "name a Redis of its own in DORA_STATE_BROKER_URL, with maxmemory-policy noeviction."
            )
        return None

    def require(self) -> None:
        """For one who sends. Raises BrokerUnfit, BrokerFull."""
        if (reason := self.unfit_because) is not None:
            raise BrokerUnfit(reason)
        if self.used >= FULL:
            raise BrokerFull(
                f"The broker's memory is full to {self.used:.0%}, and what is left is for workers; "
                "try again when they have come further, or give it more."
            )
