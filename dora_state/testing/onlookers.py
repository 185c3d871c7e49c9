"""What followers got and readers were shown, held against the log."""

from collections.abc import Iterator

from dora_state.testing.history import Began, Followed, Read
from dora_state.testing.promises import Fault
from dora_state.testing.recorded import Recorded


class Followers:
    """Each from where it began, one event after the other."""

    def __init__(self, log: Recorded) -> None:
        self._log = log
        self._come_to: dict[str, int] = {}

    def began(self, record: Began) -> Iterator[Fault]:
        before = self._come_to.setdefault(record.follower, record.after)
        if record.after != before:
            yield Fault("followers", f"{record.follower} went on after position {record.after}, and was at {before}.")
        if not 0 <= record.after <= self._log.length:
            says = f"{record.follower} began after position {record.after}"
            yield Fault("followers", f"{says}, of a log that ends at {self._log.length}.")

    def got(self, record: Followed) -> Iterator[Fault]:
        before = self._come_to.get(record.follower, 0)
        if record.position != before + 1:
            yield Fault("followers", f"{record.follower} got position {record.position} after {before}.")
        self._come_to[record.follower] = record.position
        if not self._log.is_event(record.position, record.event_id, record.content):
            yield Fault("followers", f"{record.follower} got another event at {record.position} than the log has.")

    def ended(self, end: int) -> Iterator[Fault]:
        """They must have come to this position, and to the end of a command.

        One that was killed or cut off may have got a part of a command: it got one event after the other, and goes on
        after the last. But a command is in the log with all its events or not at all, so who was let go once nothing
        more came has had the rest of it.
        """
        for follower, position in self._come_to.items():
            if position < end:
                yield Fault("followers", f"{follower} came to position {position} of {end}.")
            if 0 < position <= self._log.length and not self._log.is_end(position):
                yield Fault("divided", f"{follower} ended at position {position}, which is within a command.")


def read(record: Read, log: Recorded) -> Iterator[Fault]:
    """What is wrong with what a reader was shown."""
    for stream_id, content in record.contents.items():
        version = record.versions.get(stream_id, 0)
        if log.contents.get((stream_id, version)) != content:
            yield Fault("reads", f"{record.reader} was shown {stream_id} at {version} as it was not then.")
    if record.as_of is None:
        yield from _read_streams(record, log)
        return
    if not 0 <= record.as_of <= log.length:
        says = f"{record.reader} was shown position {record.as_of}"
        yield Fault("reads", f"{says} of a log that ends at {log.length}.")
    elif record.as_of and not log.is_end(record.as_of):
        yield Fault("divided", f"{record.reader} was shown position {record.as_of}, which is within a command.")
    if record.as_of < record.min_position:
        says = f"{record.reader} asked for position {record.min_position}"
        yield Fault("own_writes", f"{says} and was shown {record.as_of}.")
    for stream_id, version in record.versions.items():
        actual = log.version_at(stream_id, record.as_of)
        if version != actual:
            says = f"{record.reader} was shown {stream_id} at version {version} as of position {record.as_of}"
            yield Fault("reads", f"{says}, where it was at {actual}.")


def _read_streams(record: Read, log: Recorded) -> Iterator[Fault]:
    """Where the moment is not known, there must have been one, and it be no earlier than was asked for."""
    strangers = {
        stream_id for stream_id, version in record.versions.items() if not 0 <= version <= log.last_version(stream_id)
    }
    if record.min_position > log.length:
        says = f"{record.reader} asked for position {record.min_position}"
        yield Fault("own_writes", f"{says} of a log that ends at {log.length}, and was shown something.")
    for stream_id, version in record.versions.items():
        if stream_id in strangers:
            yield Fault("reads", f"{record.reader} was shown {stream_id} at {version}, which never was.")
        least = log.version_at(stream_id, record.min_position)
        if version < least:
            says = f"{record.reader} asked for position {record.min_position}"
            yield Fault("own_writes", f"{says} and was shown {stream_id} at version {version}, not {least}.")
    if not strangers and not log.was(record.versions, 0, log.length):
        span, says = log.span(record.versions), f"{record.reader} was shown {dict(record.versions)}"
        if span:
            yield Fault(
                "divided", f"{says}, which was so only from position {span[0]} to {span[-1]}, within a command."
            )
        else:
            yield Fault("reads", f"{says}, which never was so at one moment.")
