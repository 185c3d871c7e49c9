"""Whether a Redis may carry commands: it must not throw any away, and should keep them over a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import DoraStateError

NO_EVICTION = "noeviction"


class BrokerUnfit(DoraStateError):
    """The broker may lose commands, and takes none."""

    code = "broker_unfit"


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the server tells of itself. `persists`: it keeps an append-only file."""

    eviction: str
    persists: bool
    is_cluster: bool

    @classmethod
    def told(cls, info: Mapping[str, Any]) -> "Fitness":
        """By the answer to INFO."""
        return cls(
            eviction=str(info.get("maxmemory_policy", NO_EVICTION)),
            persists=str(info.get("aof_enabled")) == "1",
            is_cluster=str(info.get("cluster_enabled")) == "1",
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
        """Raises BrokerUnfit."""
        if (reason := self.unfit_because) is not None:
            raise BrokerUnfit(reason)
