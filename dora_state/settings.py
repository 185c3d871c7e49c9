"""Settings, from the environment: `DORA_STATE_` and the name in capitals."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import InvalidInput


def _default_home() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "dora-state"


def _is_redis_url(text: str) -> bool:
    from redis.asyncio.connection import parse_url  # here, as it takes a while to import

    try:
        parse_url(text)
    except ValueError:
        return False
    return True


class Settings(BaseSettings):
    """What a deployment may choose. Without a database URL, servers of our own run under `home`."""

    model_config = SettingsConfigDict(env_prefix="DORA_STATE_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=_default_home)
    tenant: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,49}$")] = "default"
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    """The Redis by which workers hand jobs to each other; by default the one of the copies."""
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 4
    """Connections at most, for each of the two roles of a process; three more for who projects and takes snapshots."""
    redis_pool_size: Annotated[int, Field(ge=1, le=1000)] = 8
    redis_cluster: bool = False
    """Whether the Redis URL names a node of a Redis Cluster."""
    near_bytes: Annotated[int, Field(ge=0)] = 64 * 2**20
    """Memory for the documents that a process keeps for `cached` reads; 0 keeps none."""
    queue_size: Annotated[int, Field(ge=1)] = 10_000
    """Commands that may wait; one more is told to try later."""
    group_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Commands at most in one append."""
    cache_size: Annotated[int, Field(ge=1)] = 20_000
    """Aggregates kept in memory by the command side, and as many by the projector."""
    heartbeat_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without a heartbeat after which the worker marks an agent offline."""
    rebuild: Literal["ask", "auto"] = "ask"
    """What a worker does about a projection that an earlier release wrote in another way: say so, or rebuild it."""
    time_zone: str = "UTC"
    """Where "today" begins."""
    worker_interval: Annotated[float, Field(gt=0)] = 1.0
    """Seconds between two looks of the workers for what time asks for."""

    http_cors: str = ""
    """Origins, divided by commas, whose pages may ask the HTTP server from within a browser; none by default."""
    http_rate: Annotated[float, Field(ge=0)] = 50_000.0
    """Requests a second of one caller, each command of an array counted; 0 sets no limit."""
    http_body_bytes: Annotated[int, Field(ge=1_024, le=64 * 2**20)] = 2 * 2**20
    """What the body of a request may have."""
    http_streams: Annotated[int, Field(ge=0, le=100_000)] = 2_000
    """Streams of events that may be open at once."""

    @field_validator("home", mode="before")
    @classmethod
    def _blank_is_default(cls, value: object) -> object:
        return _default_home() if value in ("", None) else value

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _known_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else ""
        if text and not _is_redis_url(text):
            raise ValueError("is no Redis URL; write it like redis://host:6379/0 or unix:///path/to/socket")
        return value

    @field_validator("database_url", "redis_url", "broker_url")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            raise ValueError("is no time zone; write it like Europe/Amsterdam") from None
        return value

    @model_validator(mode="after")
    def _both_servers_or_none(self) -> "Settings":
        if self.redis_url is not None and self.database_url is None:
            raise ValueError("a Redis URL without a database URL; set both, or none for the embedded servers")
        return self

    @model_validator(mode="after")
    def _cluster_has_hosts(self) -> "Settings":
        url = self.redis_url.get_secret_value() if self.redis_url is not None else ""
        if self.redis_cluster and not url.startswith(("redis://", "rediss://")):
            raise ValueError("DORA_STATE_REDIS_CLUSTER needs a Redis URL with the host of one of its nodes; set both")
        return self


def load_settings(**overrides: Any) -> Settings:
    """The settings in force. Raises InvalidInput that names the variable and the reason."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part).upper() for part in finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        what = f"DORA_STATE_{name}" if name else "The settings"
        raise InvalidInput(f"{what}: {message}; correct it and start again.", field=name) from error
    if settings.database_url is not None:
        from infrastructure.database import url_parts  # here, as it takes a while to import

        url_parts(settings.database_url.get_secret_value())
    return settings
