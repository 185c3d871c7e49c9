"""The library's way in: reads the settings from the application's environment, and makes its recorders."""

import os
import re
from pathlib import Path
from typing import TypeVar, cast

from eventsourcing.persistence import (
    AggregateRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from domain.errors import InvalidInput
from infrastructure.database import tenant_schema
from infrastructure.persistence.recorders import LogAggregateRecorder, LogApplicationRecorder, SnapshotRecorder
from infrastructure.persistence.store import Store, StoreSettings
from infrastructure.persistence.tracking import LogProcessRecorder, LogTrackingRecorder

EVENTS = "events"
_NAME = re.compile(r"[a-z0-9_]*")

R = TypeVar("R")
V = TypeVar("V", bound=LogTrackingRecorder)


class LogFactory(InfrastructureFactory[LogTrackingRecorder]):
    """Makes recorders that share one store: the log of one application, in a schema of its own.

    Opened with the first recorder, closed by `close`. Variables, each also with the application's name before
    it (`ORDERS_DORA_STATE_TENANT`), as the library has it: DORA_STATE_DATABASE_URL, DORA_STATE_HOME,
    DORA_STATE_TENANT, DORA_STATE_POOL_SIZE; CREATE_TABLE=no leaves the schema as it is.
    Raises InfrastructureFactoryError when one of them is wrong.
    """

    CREATE_TABLE = "CREATE_TABLE"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.store = Store(_settings(self.env))

    def close(self) -> None:
        self.store.close()

    def aggregate_recorder(self, purpose: str = EVENTS) -> AggregateRecorder:
        store = self._open()
        return LogAggregateRecorder(store) if purpose == EVENTS else SnapshotRecorder(store, purpose)

    def application_recorder(self) -> LogApplicationRecorder:
        return self._class(self.APPLICATION_RECORDER_TOPIC, LogApplicationRecorder)(self._open())

    def tracking_recorder(self, tracking_recorder_class: type[V] | None = None) -> V:
        given: type[LogTrackingRecorder] | None = tracking_recorder_class
        made = given or self._class(self.TRACKING_RECORDER_TOPIC, LogTrackingRecorder)
        recorder = _require(made, LogTrackingRecorder)(self._open())
        return cast(V, self._with_tables(recorder))

    def process_recorder(self) -> LogProcessRecorder:
        return self._with_tables(self._class(self.PROCESS_RECORDER_TOPIC, LogProcessRecorder)(self._open()))

    def _makes_tables(self) -> bool:
        return strtobool(self.env.get(self.CREATE_TABLE) or "yes")

    def _open(self) -> Store:
        self.store.open(make_schema=self._makes_tables())
        return self.store

    def _with_tables(self, recorder: V) -> V:
        if self._makes_tables() and type(recorder).create_tables is not LogTrackingRecorder.create_tables:
            with self.store.owned() as connection:
                recorder.create_tables(connection)
        return recorder

    def _class(self, topic_key: str, default: type[R]) -> type[R]:
        """The class that the environment names by its topic, else the default."""
        topic = self.env.get(topic_key)
        return _require(resolve_topic(topic), default) if topic else default


def _require(found: object, base: type[R]) -> type[R]:
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InfrastructureFactoryError(f"{found!r} is no subclass of {base.__name__}, which this store needs.")
    return found


def _settings(env: Environment) -> StoreSettings:
    return StoreSettings(
        tenant=_tenant(env),
        database_url=env.get("DORA_STATE_DATABASE_URL") or None,
        home=Path(env.get("DORA_STATE_HOME") or _default_home()),
        pool_size=_pool_size(env.get("DORA_STATE_POOL_SIZE") or "4"),
    )


def _tenant(env: Environment) -> str:
    """A tenant for each application of the tenant that is set: their notifications must not mix, and the
    service's own projector would halt at events that it does not know."""
    name = env.name.lower() or "stored"
    if not _NAME.fullmatch(name):
        raise InfrastructureFactoryError(
            f"The application {env.name!r} can't name a schema: give its class a `name` of letters, digits and _."
        )
    tenant = f"{env.get('DORA_STATE_TENANT') or 'default'}_{name}"
    try:
        tenant_schema(tenant)
    except InvalidInput as error:
        raise InfrastructureFactoryError(
            f"{error} It is made of DORA_STATE_TENANT and the application's name."
        ) from None
    return tenant


def _pool_size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 1000):
        raise InfrastructureFactoryError(f"DORA_STATE_POOL_SIZE is {text!r}: use a number from 1 to 1000.")
    return int(text)


def _default_home() -> Path:
    """Where the service keeps its servers too."""
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "dora-state"
