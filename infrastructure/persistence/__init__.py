"""A persistence module of the library `eventsourcing`: `PERSISTENCE_MODULE=infrastructure.persistence`.

Its applications then run on the log, unchanged, each in a schema of its own. What the library calls an
originator is a stream here, its version the stream's, its topic the event's type, its state the event's
data byte for byte, and its notification id the position: contiguous, in the order of commits. One call
of `insert_events` is one command.
"""

from infrastructure.persistence.factory import LogFactory
from infrastructure.persistence.recorders import LogAggregateRecorder, LogApplicationRecorder, SnapshotRecorder
from infrastructure.persistence.signal import Signal, signal_of
from infrastructure.persistence.tracking import LogProcessRecorder, LogTrackingRecorder

__all__ = [
    "Factory",
    "LogAggregateRecorder",
    "LogApplicationRecorder",
    "LogFactory",
    "LogProcessRecorder",
    "LogTrackingRecorder",
    "Signal",
    "SnapshotRecorder",
    "signal_of",
]

Factory = LogFactory
