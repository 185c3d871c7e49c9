"""Settings, from the environment: `DORA_STATE_` and the name in capitals."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import InvalidInput
from dora_state.secret_files import from_files
from infrastructure.hosts import can_be_host

LONGEST_SECONDS = 31 * 86_400
Number = Annotated[float, Field(allow_inf_nan=False)]


def _default_home() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "dora-state"


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and can_be_host(unquote(parts.hostname or "")) and parts.port != 0
    except ValueError:
        return False


class Settings(BaseSettings):
    """What a deployment may choose. Without a database URL, servers of our own run under `home`."""

    model_config = SettingsConfigDict(env_prefix="DORA_STATE_", extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(default_factory=_default_home)
    tenant: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,49}$")] = "default"
    database_url: SecretStr | None = None
    read_database_url: SecretStr | None = None
    """A streaming replica, to which questions go while it keeps up."""
    read_lag: Annotated[Number, Field(gt=0, le=60)] = 5.0
    """Seconds that the replica may be behind; if it is further, questions go to the primary."""
    redis_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    """The Redis by which workers hand jobs to each other; by default the one of the copies."""
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 4
    """Connections at most, for each of the two roles of a process; three more for who projects and takes snapshots."""
    redis_pool_size: Annotated[int, Field(ge=1, le=1000)] = 8
    redis_cluster: bool = False
    """Whether the Redis URL names a node of a Redis Cluster."""
    near_bytes: Annotated[int, Field(ge=0, le=2**40)] = 64 * 2**20
    """Memory for the documents that a process keeps for `cached` reads; 0 keeps none."""
    queue_size: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Commands that may wait; one more is told to try later."""
    group_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Commands at most in one append."""
    cache_size: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """Aggregates kept in memory by the command side, and as many by the projector."""
    heartbeat_timeout: Annotated[Number, Field(gt=0, le=LONGEST_SECONDS)] = 60.0
    """Seconds without a heartbeat after which the worker marks an agent offline."""
    rebuild: Literal["ask", "auto"] = "ask"
    """What a worker does about a projection that an earlier release wrote in another way: say so, or rebuild it."""
    time_zone: str = "UTC"
    """Where "today" begins."""
    worker_interval: Annotated[Number, Field(ge=0.01, le=3_600)] = 1.0
    """Seconds between two looks of the workers for what time asks for."""
    log: Literal["json", "text"] = "text"
    """How a worker or a server logs: a JSON object a line, or sentences for people."""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """What it logs at least; by default `info` in JSON and `warning` in sentences."""
    traces_url: SecretStr | None = None
    """A collector of traces that speaks OTLP over HTTP; without one, no traces are sent."""
    traces_sample: Annotated[Number, Field(ge=0, le=1)] = 1.0
    """The share of traces that are sent, of those that begin here."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where a process serves its metrics for Prometheus, and whether it is ready; by default it serves none."""
    metrics_host: str = "127.0.0.1"
    """On which address: by default, only this machine is told."""

    http_cors: str = ""
    """Origins, divided by commas, whose pages may ask the HTTP server from within a browser; none by default."""
    http_rate: Annotated[Number, Field(ge=0, le=1_000_000_000)] = 50_000.0
    """Requests a second of one caller, each command of an array counted; 0 sets no limit."""
    http_body_bytes: Annotated[int, Field(ge=1_024, le=64 * 2**20)] = 2 * 2**20
    """What the body of a request may have."""
    http_streams: Annotated[int, Field(ge=0, le=100_000)] = 2_000
    """Streams of events that may be open at once."""
    http_resume: Annotated[Number, Field(ge=0, le=LONGEST_SECONDS)] = 3_600.0
    """How many seconds back a stream of events may begin for whoever may not look at the past."""
    oidc_issuer: str | None = None
    """Whose tokens are taken, as they name it; none without."""
    oidc_audience: str | None = None
    """Which of them are meant for this service."""
    oidc_jwks_url: str | None = None
    """Where the issuer's keys are; by default where it says so itself."""
    oidc_role_claim: Annotated[str, Field(min_length=1)] = "roles"
    oidc_tenant_claim: Annotated[str, Field(min_length=1)] = "tenant"
    oidc_clock_skew: Annotated[Number, Field(ge=0, le=300)] = 30.0
    """Seconds that the issuer's clock may differ from ours."""

    @field_validator("home", mode="before")
    @classmethod
    def _blank_is_default(cls, value: object) -> object:
        return _default_home() if value in ("", None) else value

    @field_validator("metrics_host", mode="before")
    @classmethod
    def _blank_is_default_host(cls, value: object) -> object:
        return cls.model_fields["metrics_host"].default if value in ("", None) else value

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _known_to_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (text := value.get_secret_value()):
            from infrastructure.redis_url import require_redis_url  # here, as it takes a while to import

            require_redis_url(text)
        return value

    @field_validator("metrics_host")
    @classmethod
    def _can_be_host(cls, value: str) -> str:
        if not can_be_host(value):
            raise ValueError("is no name or address of a host; write it like 127.0.0.1 or 0.0.0.0")
        return value

    @field_validator("traces_url")
    @classmethod
    def _is_http(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else ""
        if text and not _is_http_url(text):
            raise ValueError("is no address of HTTP; write it like http://collector:4318/v1/traces")
        return value

    @field_validator("database_url", "read_database_url", "redis_url", "broker_url", "traces_url")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("oidc_issuer", "oidc_audience", "oidc_jwks_url")
    @classmethod
    def _blank_text_is_none(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _trusted_url(cls, value: str | None) -> str | None:
        if not value:
            return value
        from infrastructure.issuer import is_trusted_url  # here, as it takes a while to import

        if not is_trusted_url(value):
            raise ValueError("is no URL of an issuer; write it like https://login.bank.example/realms/agents")
        return value

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
    def _tokens_are_meant_for_us(self) -> "Settings":
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("DORA_STATE_OIDC_ISSUER and DORA_STATE_OIDC_AUDIENCE go together; set both, or none")
        return self

    @model_validator(mode="after")
    def _replica_has_a_primary(self) -> "Settings":
        if self.read_database_url is not None and self.database_url is None:
            raise ValueError("DORA_STATE_READ_DATABASE_URL without a database URL; set both, or none")
        return self

    @model_validator(mode="after")
    def _cluster_has_hosts(self) -> "Settings":
        url = self.redis_url.get_secret_value() if self.redis_url is not None else ""
        if self.redis_cluster and not url.startswith(("redis://", "rediss://")):
            raise ValueError("DORA_STATE_REDIS_CLUSTER needs a Redis URL with the host of one of its nodes; set both")
        if self.redis_cluster:
            from infrastructure.redis_url import require_redis_url  # here, as it takes a while to import

            try:
                require_redis_url(url, cluster=True)
            except ValueError as error:
                raise ValueError(f"DORA_STATE_REDIS_URL, with DORA_STATE_REDIS_CLUSTER: {error}") from None
        return self


_SECRETS = frozenset(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)


def load_settings(**overrides: Any) -> Settings:
    """The settings in force. Raises InvalidInput that names the variable and the reason."""
    settings = _made(from_files(_SECRETS - overrides.keys()) | overrides)
    for url, name in ((settings.database_url, "DATABASE_URL"), (settings.read_database_url, "READ_DATABASE_URL")):
        if url is not None:
            from infrastructure.database import url_parts  # here, as it takes a while to import

            url_parts(url.get_secret_value(), f"DORA_STATE_{name}")
    return settings


def _made(given: dict[str, Any]) -> Settings:
    """Pydantic's error holds what was given: it may not stand behind ours, so that ours is raised outside."""
    try:
        return Settings(**given)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
    name = "_".join(str(part).upper() for part in finding["loc"])
    message = finding["msg"].removeprefix("Value error, ")
    what = f"DORA_STATE_{name}" if name else "The settings"
    raise InvalidInput(f"{what}: {message}; correct it and start again.", field=name)
