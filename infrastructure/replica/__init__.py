"""A reading replica: reads go there while it keeps up, and to the primary where it does not, or is gone."""

from infrastructure.replica.event_reader import ReplicaEventReader
from infrastructure.replica.read_models import ReplicaReadModels
from infrastructure.replica.standby import Replica, Sight, look_at, open_replica

__all__ = ["Replica", "ReplicaEventReader", "ReplicaReadModels", "Sight", "look_at", "open_replica"]
