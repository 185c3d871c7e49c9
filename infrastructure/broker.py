"""The broker that hands jobs to workers: dramatiq on Redis, or within this process where there is none.

A message says only that a job may be due; PostgreSQL says whether it is (`schedules.py`). So one that is lost, late or
doubled does no harm, and of dramatiq's middleware nothing is used: no retries (the next slot is one), no age limit (a
late message finds nothing to do), no time limit (it raises in threads, which here only wait for a coroutine).
"""

from collections.abc import Callable, Sequence

from dramatiq import Actor, Broker, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from domain.errors import DoraStateError

CALL_SECONDS = 2.0
"""How long Redis has to take a message."""
POLL_MILLISECONDS = 500
"""How often an idle queue is looked at, at least."""


class BrokerUnavailable(DoraStateError):
    """The broker can't be reached just now."""

    code = "broker_unavailable"


class JobBroker:
    """One queue for each role of workers. `carry_out` is called with a job's name, in a thread, and waited for.

    `threads` is how many jobs may be carried out at the same time. Without a URL, jobs stay in this process.
    """

    def __init__(
        self, url: str | None, tenant: str, queues: Sequence[str], carry_out: Callable[[str], None], threads: int
    ) -> None:
        self._redis = _client(url) if url is not None else None
        self._broker = _on_redis(self._redis, tenant) if self._redis is not None else StubBroker(middleware=[])
        self._actors = {
            queue: Actor(carry_out, broker=self._broker, actor_name=queue, queue_name=queue, priority=0, options={})
            for queue in queues
        }
        self._worker = Worker(self._broker, worker_timeout=POLL_MILLISECONDS, worker_threads=threads)

    def start(self) -> None:
        self._worker.start()

    def send(self, queue: str, job: str) -> None:
        """Tell the workers of a queue of a job. Raises BrokerUnavailable."""
        try:
            self._actors[queue].send(job)
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    def is_alive(self) -> bool:
        """Whether all its threads run; one that has ended is not begun again by dramatiq."""
        return all(thread.is_alive() for thread in (*self._worker.workers, *self._worker.consumers.values()))

    def stop(self, seconds: float) -> None:
        """Take no more messages, and wait for the jobs in hand, for so many seconds at most."""
        try:
            self._worker.stop(timeout=int(1000 * seconds))
        except (RedisError, OSError):
            pass  # messages that could not be given back are lost, and nothing hangs on them
        finally:
            if self._redis is not None:
                self._redis.close()


def unavailable(error: Exception) -> BrokerUnavailable:
    """What the client met, without its password."""
    reason = " ".join(str(error).split()).rstrip(".") or f"no answer within {CALL_SECONDS:g} seconds"
    return BrokerUnavailable(f"The broker can't be reached ({reason}).")


def _client(url: str) -> Redis:
    """Once again at once, for a connection that was lost while idle; and no longer than a caller has patience."""
    return Redis.from_url(
        url,
        socket_timeout=CALL_SECONDS,
        socket_connect_timeout=CALL_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


class _PromptQueues(RedisBroker):
    """Without queues of messages that wait for their time: ours never do, and each would be polled.

    Nor is Redis asked how large a script's stack may be, under a lock for which all wait while it does not answer.
    """

    _max_unpack_size_val = 100  # type: ignore[assignment]  # half of what it would be told is far more

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def _on_redis(client: Redis, tenant: str) -> Broker:
    """Its keys stand beside the tenant's copies, not among them: those are cleared, and watched by caches."""
    namespace = f"dora-state-jobs:{{{tenant}}}"
    broker: Broker = _PromptQueues(client=client, middleware=[], namespace=namespace)  # type: ignore[no-untyped-call]  # it has no types
    return broker
