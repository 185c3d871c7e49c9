"""The composition root: the one place where ports meet their adapters."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import uuid_utils
from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from commands.bus import CommandBus
from commands.committer import Committer
from commands.decider import Decider
from commands.preparing import Preparer
from domain.aggregate import Aggregate, AggregateState
from domain.folding import FOLDER
from domain.log import NOW, Cut, EventReader
from dora_state.caches import Caches, caching, make_caches
from dora_state.health import Health
from dora_state.health.readiness import Readiness, ask_database
from dora_state.heartbeats import Heartbeats, writing
from dora_state.servers import Say, Servers, open_servers, quiet
from dora_state.settings import Settings
from dora_state.watching.gathering import Gathered, gathering
from dora_state.watching.requests import RequestFigures
from dora_state.watching.traces import Traces, tracing
from infrastructure.actions import PostgresActions
from infrastructure.database import Role
from infrastructure.event_store import Appender, LogSignal, PostgresEventLog, PostgresTurns
from infrastructure.locks import PostgresLocks
from infrastructure.migrations import migrate, require_tenant
from infrastructure.pools import Pool, open_pool
from infrastructure.presence import PresenceBook
from infrastructure.process_memory import noting_memory
from infrastructure.queue_figures import ConsumerFigures
from infrastructure.read_models import PostgresReadModels
from infrastructure.redis_client import RedisClient, open_redis
from infrastructure.replica import Replica, ReplicaEventReader, ReplicaReadModels, open_replica
from infrastructure.snapshots import PostgresSnapshots
from infrastructure.storage import storage
from projections.actions import ActionsRunner
from projections.audits import Audits
from projections.cache_ports import HotCopies, NoHotCopies
from projections.differences import Differences
from projections.history import History
from projections.ports import ReadModelStore
from projections.projection import ACTIONS, Projection
from projections.projector import Projector
from projections.queries import Queries
from projections.questions import Questions
from projections.runner import Runner
from projections.snapshotter import Snapshotter
from projections.timelines import Timelines
from projections.traces import Tracer

HELD_FOR_LONG = 3
"""Connections that who runs a projection or takes snapshots holds for itself, beside the pool's size."""

S = TypeVar("S", bound=AggregateState)


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> UUID:
    """Ids rise with time, which keeps the indexes of a long log small in memory."""
    return uuid7()


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything of one tenant, wired and running."""

    settings: Settings
    servers: Servers
    writer_pool: Pool
    projector_pool: Pool
    log: PostgresEventLog
    read_models: PostgresReadModels
    caches: Caches
    presence: PresenceBook
    decider: Decider
    preparer: Preparer
    committer: Committer
    bus: CommandBus
    projector: Projector
    actions: ActionsRunner
    queries: Queries
    history: History
    differences: Differences
    tracer: Tracer
    timelines: Timelines
    snapshotter: Snapshotter
    signal: LogSignal
    audits: Audits
    locks: PostgresLocks
    gathered: Gathered
    health: Health
    replica: Replica | None
    reader: EventReader
    """The log for whoever asks: of the replica where it may be read."""
    shown: ReadModelStore
    """The read models for whoever asks, likewise."""
    traces: Traces
    requests: RequestFigures
    questions: Questions
    """What this process was asked."""
    queue_figures: ConsumerFigures = field(default_factory=ConsumerFigures)
    """Of the commands that this process took from the queue."""

    @property
    def runners(self) -> tuple[Runner[Any], ...]:
        """One a projection."""
        return self.projector, self.actions

    def runner_into(self, projection: Projection, pool: Pool, *, until: int | None = None) -> Runner[Any]:
        """Builds a projection in a schema of its own, beside those that run."""
        if projection is ACTIONS:
            return ActionsRunner(self.log, PostgresActions(pool, self.projector_pool), until=until)
        return Projector(self.log, PostgresReadModels(pool), NoHotCopies(), until=until)

    @property
    def hot(self) -> HotCopies:
        return self.caches.hot

    @property
    def redis(self) -> "Redis | None":
        return self.caches.redis.client if self.caches.redis is not None else None

    async def fold(self, aggregate: Aggregate[S], aggregate_id: str, cut: Cut = NOW) -> S | None:
        """An aggregate's state at a cut, folded from the log; None if it was not there yet."""
        state: S | None = (await FOLDER.at(self.log, aggregate.stream_id(aggregate_id), cut)).state
        return state

    def new_decider(self) -> Decider:
        """A decider with a cache of its own."""
        return Decider(self.log, self.queries, cache_size=self.settings.cache_size)


@asynccontextmanager
async def open_platform(
    settings: Settings, say: Say = quiet, *, create: bool = True, warm: bool = False
) -> AsyncIterator[Platform]:
    """Servers, schema, pools and parts, for as long as the block runs.

    Without `create`, a tenant that is not there is not made: NotFound. `warm` is for those who will ask for many
    cached documents: those that are asked most are loaded in the background. Raises LogUnavailable or
    EmbeddedServerError when there is no server to work with.
    """
    async with open_servers(settings, say) as servers:
        if not create:
            await require_tenant(servers.database_url, settings.tenant)
        await migrate(servers.database_url, settings.tenant)
        async with open_on(servers, settings, warm=warm) as platform:
            yield platform


@asynccontextmanager
async def open_on(servers: Servers, settings: Settings, *, warm: bool = False) -> AsyncIterator[Platform]:
    """The parts, on servers that are there and a schema that is up to date."""
    async with AsyncExitStack() as stack:
        traces = await stack.enter_async_context(tracing(settings))
        writer_pool = await _pool(stack, servers, settings, Role.WRITER)
        projector_pool = await _pool(stack, servers, settings, Role.PROJECTOR, more=HELD_FOR_LONG)
        redis = await _redis(stack, servers, settings)
        appender = Appender(servers.database_url, settings.tenant)
        stack.push_async_callback(appender.close)
        log = PostgresEventLog(writer_pool, appender, stamps=FOLDER.stamps)
        read_models = PostgresReadModels(projector_pool)
        replica = await _replica(stack, settings, projector_pool)
        reader: EventReader = log if replica is None else ReplicaEventReader(log, replica)
        shown: ReadModelStore = read_models if replica is None else ReplicaReadModels(read_models, replica)
        caches = make_caches(redis, settings.tenant, settings.near_bytes)
        presence = PresenceBook(projector_pool, redis.client if redis is not None else None, settings.tenant)
        questions = Questions()
        queries = Queries(
            shown,
            caches.hot,
            presence,
            reader,
            now,
            near=caches.near,
            meter=caches.meter,
            moved=caches.moved,
            zone=ZoneInfo(settings.time_zone),
            questions=questions,
        )
        decider = Decider(log, queries, cache_size=settings.cache_size)
        preparer = Preparer(tenant=settings.tenant, new_id=uuid_utils.uuid7)
        committer = Committer(log, decider, Heartbeats(presence), preparer, clock=now)
        turns = PostgresTurns(servers.database_url, settings.tenant)
        stack.push_async_callback(turns.close)
        signal = await stack.enter_async_context(LogSignal(servers.database_url, settings.tenant))
        bus = CommandBus(
            committer,
            turns=turns,
            queue_size=settings.queue_size,
            group_size=settings.group_size,
            on_commit=signal.wake,
            tracing=traces,
        )
        projector = Projector(
            log, read_models, caches.hot, signal=signal, states_kept=settings.cache_size, tracing=traces
        )
        stack.push_async_callback(projector.release)
        kept_actions = PostgresActions(projector_pool, projector_pool)
        actions = ActionsRunner(log, kept_actions)
        stack.push_async_callback(actions.release)
        await stack.enter_async_context(writing(presence))
        await stack.enter_async_context(noting_memory(projector_pool))
        await stack.enter_async_context(caching(caches, queries.load, at_once=warm))
        readiness = Readiness(partial(ask_database, writer_pool))
        stack.push_async_callback(readiness.close)
        health = Health(
            settings, servers, readiness, near=caches.vitals, replica=replica, closing=lambda: bus.is_closing
        )
        platform = Platform(
            settings=settings,
            servers=servers,
            writer_pool=writer_pool,
            projector_pool=projector_pool,
            log=log,
            read_models=read_models,
            caches=caches,
            presence=presence,
            decider=decider,
            preparer=preparer,
            committer=committer,
            bus=await stack.enter_async_context(bus),
            projector=projector,
            actions=actions,
            queries=queries,
            history=History(reader, questions=questions),
            differences=Differences(reader, questions=questions),
            tracer=Tracer(reader, questions=questions),
            timelines=Timelines(reader, questions=questions),
            snapshotter=Snapshotter(log, PostgresSnapshots(projector_pool)),
            signal=signal,
            audits=Audits(kept_actions, log, questions=questions),
            locks=await stack.enter_async_context(PostgresLocks(servers.database_url, settings.tenant, writer_pool)),
            gathered=Gathered(),
            health=health,
            replica=replica,
            reader=reader,
            shown=shown,
            traces=traces,
            requests=RequestFigures(),
            questions=questions,
        )
        await stack.enter_async_context(gathering(platform.gathered, health.check, partial(storage, projector_pool)))
        yield platform


async def _pool(stack: AsyncExitStack, servers: Servers, settings: Settings, role: Role, more: int = 0) -> Pool:
    pool = await open_pool(servers.database_url, settings.tenant, role, max_size=settings.pool_size + more)
    stack.push_async_callback(pool.close)
    return pool


async def _replica(stack: AsyncExitStack, settings: Settings, primary: Pool) -> Replica | None:
    if settings.read_database_url is None:
        return None
    url, most = settings.read_database_url.get_secret_value(), settings.pool_size
    opened = open_replica(primary, url, settings.tenant, settings.read_lag, most)
    return await stack.enter_async_context(opened)


async def _redis(stack: AsyncExitStack, servers: Servers, settings: Settings) -> RedisClient | None:
    if servers.redis_url is None:
        return None
    opened = open_redis(servers.redis_url, settings.tenant, settings.redis_pool_size, cluster=settings.redis_cluster)
    return await stack.enter_async_context(opened)
