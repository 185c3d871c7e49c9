"""Whatever the environment says, settings are made or refused in a sentence that tells no secret; of those that are
made, all that they describe can be made too."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn
from pydantic import SecretStr
from redis import Redis

from domain.errors import InvalidInput
from domain.values import iso
from dora_state.http.serving import origins
from dora_state.platform import now
from dora_state.settings import Settings, load_settings
from dora_state.worker.jobs import jobs
from infrastructure.broker import JobBroker
from infrastructure.database import Role, tenant_schema, url_parts
from infrastructure.pools import schema_pool
from infrastructure.redis_client import open_redis
from infrastructure.redis_url import PARAMETERS
from tests.support.hostile import NUMBERS, TEXTS, server_urls
from tests.support.refusals import all_told, refusal_of

SECRET = "s3cr3t-Wort"
NAMES = [f"DORA_STATE_{name.upper()}" for name in Settings.model_fields]
NUMERIC = [f"DORA_STATE_{name.upper()}" for name, field in Settings.model_fields.items() if field.annotation is float]
SECRETS = ["DORA_STATE_DATABASE_URL", "DORA_STATE_REDIS_URL", "DORA_STATE_BROKER_URL", "DORA_STATE_READ_DATABASE_URL"]
URLS = [
    f"postgresql://u:{SECRET}@h/db", f"redis://u:{SECRET}@h:6379/0", f"postgresql://u:{SECRET}@h:x/db", f"://{SECRET}",
    f"redis://:{SECRET}@h:99999999/x", f"postgresql://u:{SECRET}@[::1/db", f"unix://{SECRET}?db=x", f"http://{SECRET}/%",
    f"host=h password={SECRET}",
]  # fmt: skip
PLAIN = [
    "1",
    "0",
    "-1",
    "4",
    "1e3",
    "true",
    "yes",
    "json",
    "text",
    "debug",
    "auto",
    "UTC",
    "Europe/Amsterdam",
    "http://x",
]
letters = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
texts = (
    st.sampled_from([one for one in TEXTS if "\0" not in one and len(one) < 1000])
    | st.sampled_from([*PLAIN, *NUMBERS, "a..b"])
    | letters
)
redis_urls = server_urls(
    list(PARAMETERS),
    [*PARAMETERS["rediss"], "timeout", "max_connections", "ssl_context", "decode_responses"],
    ["yes", "0", "2", "3", "9", "771", "none", "required", "VERIFY_X509_STRICT", "__class__", "/", "HIGH"],
    SECRET,
)
LIBPQ = (
    "sslmode connect_timeout keepalives target_session_attrs hostaddr host port password options sslnegotiation"
    " gssencmode channel_binding load_balance_hosts replication tcp_user_timeout sslrootcert sslcertmode require_auth"
    " ssl_min_protocol_version ssl_max_protocol_version min_protocol_version max_protocol_version service requirepeer"
)
NEARLY = [
    "sslmode=require", "sslnegotiation=direct", "sslrootcert=system", "sslmode=verify-full", "gssencmode=require",
    "ssl_min_protocol_version=TLSv1.3", "ssl_max_protocol_version=TLSv1.2", "ssl_min_protocol_version=tlsv1.2",
    "ssl_max_protocol_version=", "min_protocol_version=3.2", "max_protocol_version=3.0", "require_auth=!password,none",
    "tcp_user_timeout=2147483647", "tcp_user_timeout=2147483648", "connect_timeout=%203", "port=05432", "port=%205432",
    f"host=/{'a' * 120}", f"host=/{'a' * 92}", f"host=/{'a' * 92}&port=15432", "host=%40abstract", "host=h,/run&port=1",
    "hostaddr=::1,127.0.0.1&host=h,h", "passfile=/dev/null", "options=-c%20a%5C%5C%20b=c", "application_name=it's",
]  # fmt: skip
postgres_urls = server_urls(
    ["postgresql", "postgres"],
    LIBPQ.split(),
    ["require", "disable", "any", "postgres", "::1", "127.0.0.1,", "h,h", "5432", "a..b", "bogus", "@abstract"],
    SECRET,
    NEARLY,
)


@given(
    plain=st.dictionaries(st.sampled_from(NAMES), texts, max_size=4),
    secret=st.dictionaries(st.sampled_from(SECRETS), st.sampled_from(URLS), max_size=2),
    files=st.dictionaries(
        st.sampled_from([f"{name}_FILE" for name in SECRETS]),
        st.sampled_from(["", ".", "/", "missing", "\udcff", "a" * 300]),
        max_size=1,
    ),
)
def test_any_environment_is_settings_or_a_sentence_without_a_secret(
    plain: dict[str, str], secret: dict[str, str], files: dict[str, str]
) -> None:
    tried(plain | secret | files)


@given(name=st.sampled_from(NUMERIC), number=st.sampled_from(NUMBERS) | st.floats().map(repr))
def test_any_number_is_one_that_can_be_reckoned_with_or_a_sentence(name: str, number: str) -> None:
    tried({name: number})


@given(
    redis=st.dictionaries(
        st.sampled_from(["DORA_STATE_REDIS_URL", "DORA_STATE_BROKER_URL"]), redis_urls, min_size=1, max_size=2
    ),
    cluster=st.sampled_from(["yes", "no"]),
)
def test_any_redis_url_is_one_that_all_our_clients_take_or_a_sentence_without_a_secret(
    redis: dict[str, str], cluster: str
) -> None:
    tried({"DORA_STATE_DATABASE_URL": "postgresql://h/db", "DORA_STATE_REDIS_CLUSTER": cluster} | redis)


@given(database=postgres_urls, replica=st.none() | postgres_urls)
def test_any_postgresql_url_is_one_that_libpq_takes_or_a_sentence_without_a_secret(
    database: str, replica: str | None
) -> None:
    given = {"DORA_STATE_DATABASE_URL": database} | ({"DORA_STATE_READ_DATABASE_URL": replica} if replica else {})
    tried(given)


def tried(given: dict[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DORA_STATE_")}
    with patch.dict(os.environ, kept | given, clear=True):
        made: list[Settings] = []
        refused = refusal_of(lambda: made.append(load_settings()))
    if refused is not None:
        assert isinstance(refused, InvalidInput)
        assert SECRET not in all_told(refused)
    for one in made:
        assert isinstance(one.home, Path)
        assert SECRET not in f"{one!r} {one.model_dump_json()}"
        computed(one)
        asyncio.run(opened(one))


def computed(settings: Settings) -> None:
    """What is computed of the settings while a process runs."""
    for seconds in (settings.heartbeat_timeout, settings.http_resume):
        assert iso(now() - timedelta(seconds=seconds))
    for job in jobs(settings):
        assert now() < now() + timedelta(seconds=job.interval)
    assert settings.metrics_host.encode("idna")
    assert refusal_of(lambda: origins(settings.http_cors)) is None or settings.http_cors


async def opened(settings: Settings) -> None:
    """All pools that the settings describe, without connecting."""
    for url in (settings.database_url, settings.read_database_url):
        if url is not None:
            text, schema = url.get_secret_value(), tenant_schema(settings.tenant)
            await schema_pool(text, schema, Role.WRITER, 1, settings.pool_size, name="fuzz").close()
            assert_libpq_would_try(text)
    cache, broker = _text(settings.redis_url), _text(settings.broker_url)
    if cache is not None:
        async with open_redis(
            cache, settings.tenant, settings.redis_pool_size, cluster=settings.redis_cluster
        ) as redis:
            if not settings.redis_cluster:
                redis.client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # it has no types
    if broker is not None:
        async with open_redis(broker, settings.tenant, 1) as redis:
            redis.client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # it has no types
        Redis.from_url(broker).connection_pool.make_connection()
        JobBroker(broker, settings.tenant, ["chores"], lambda job: None, 1).stop(0)


def assert_libpq_would_try(url: str) -> None:
    """It looks at all parameters, and then finds no socket where there is none."""
    parts = url_parts(url)
    hosts = str(parts.get("host") or parts.get("hostaddr") or "").split(",")
    assert not any(host.startswith("@") for host in hosts)  # psycopg would ask for it by name
    nowhere = {"host": ",".join(map(_not_there, hosts)), "hostaddr": "", "password": "-"}
    if parts.get("gssencmode") == "require":
        nowhere["gssencmode"] = "disable"  # it is not to be had over a socket, whatever else is said
    tried = PGconn.connect_start(make_conninfo(url, **nowhere).encode())
    try:
        found = [line for line in tried.error_message.splitlines() if not line.startswith(b"\t")]
        assert len(found) == len(hosts), found
        assert all(line.startswith(b"connection to server on socket") for line in found), found
    finally:
        tried.finish()


def _not_there(host: str) -> str:
    """The directory of a socket that is as long, where the host is one."""
    return f"/nowhere{'x' * (len(host) - len('/nowhere'))}" if host.startswith("/") else "/nowhere"


def _text(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()
