"""The signal that a log has grown, among the threads of one process."""

from threading import Event, Lock
from weakref import WeakSet, WeakValueDictionary


class Signal:
    """Wakes the subscriptions that follow one log. Whoever learns of an append, here or elsewhere, wakes them.

    It only makes them quicker: a subscription that nobody wakes looks by itself.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: WeakSet[Event] = WeakSet()

    def listen(self, event: Event) -> None:
        """Set the event at each wake, from now on."""
        with self._lock:
            self._listeners.add(event)

    def unlisten(self, event: Event) -> None:
        with self._lock:
            self._listeners.discard(event)

    def wake(self) -> None:
        with self._lock:
            for event in self._listeners:
                event.set()


_signals: WeakValueDictionary[tuple[str, str], Signal] = WeakValueDictionary()
_lock = Lock()


def signal_of(database_url: str, tenant: str) -> Signal:
    """The one signal of a tenant's log in this process, as long as somebody holds it."""
    with _lock:
        return _signals.setdefault((database_url, tenant), Signal())
