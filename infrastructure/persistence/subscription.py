"""A subscription to the log, without a thread of its own: whoever iterates reads."""

from collections import deque
from collections.abc import Sequence
from threading import Event

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

from infrastructure.persistence.signal import Signal

PAGE = 500
"""Notifications that are held at once."""


class LogSubscription(Subscription[ApplicationRecorder]):
    """The notifications after a position, each once and in order; at the end it waits for more.

    It looks for more each `poll_seconds`, and at once when the signal wakes it. Any thread may stop it.
    Errors of reading come out of the iteration.
    """

    poll_seconds = 0.2

    def __init__(
        self, recorder: ApplicationRecorder, signal: Signal, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._signal = signal
        self._woken = Event()
        self._page: deque[Notification] = deque()
        signal.listen(self._woken)

    def stop(self) -> None:
        super().stop()
        self._signal.unlisten(self._woken)
        self._woken.set()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._page:
                return self._page.popleft()
            self._woken.clear()
            if not self._read_on():
                self._woken.wait(self.poll_seconds)
        raise StopIteration

    def _read_on(self) -> bool:
        """Read the next page; False at the end of the log.

        What was looked through is not looked through again, also where no topic fitted: nothing is ever
        committed at a position below the last.
        """
        after = self._last_notification_id or 0
        head = self._recorder.max_notification_id() or 0
        if head <= after:
            return False
        page = self._recorder.select_notifications(after, PAGE, head, self._topics, inclusive_of_start=False)
        self._page.extend(page)
        self._last_notification_id = page[-1].id if len(page) == PAGE else head
        return True
