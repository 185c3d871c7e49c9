"""URLs of Redis and PostgreSQL are looked at as a whole before anything connects; what is refused is not repeated."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from domain.errors import InvalidInput
from dora_state.settings import load_settings
from infrastructure.broker import JobBroker
from infrastructure.redis_client import open_redis
from infrastructure.redis_url import NOT_IN_A_CLUSTER, PARAMETERS, require_redis_url
from tests.support.refusals import all_told

DATABASE = "postgresql://127.0.0.1:1/db"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://localhost:1/0?hunter2=%ff&password=hunter2", "has a parameter that is not permitted with redis://"),
        ("redis://localhost/0?hunter2=1", "take of client_name, db, health_check_interval, password, protocol, "),
        ("redis://localhost/0?max_connections=-1", "has a parameter that is not permitted"),
        ("redis://localhost/0?timeout=1", "has a parameter that is not permitted"),
        ("redis://:12?hunter2@localhost/0", "has a parameter that is not permitted"),
        ("redis://localhost/0?ssl_cert_reqs=none", "has a parameter that is not permitted with redis://"),
        ("unix:///run/redis.sock?socket_keepalive=yes", "has a parameter that is not permitted with unix://"),
        ("redis://localhost/0?db=1&db=2", "has a parameter twice"),
        ("redis://localhost/abc", "names a database that is no number"),
        ("redis://localhost/1/2", "names a database that is no number"),
        ("redis://:12/hunter2@localhost/0", "names a database that is no number"),
        ("redis://localhost/0?db=hunter2", "its parameter db must be a number"),
        ("rediss://localhost/0?ssl_cert_reqs=bogus", "ssl_cert_reqs must be one of none, optional, required"),
        ("rediss://localhost/0?ssl_min_version=12", "ssl_min_version must be 771 (TLS 1.2) or 772 (TLS 1.3)"),
        ("rediss://localhost/0?ssl_include_verify_flags=__class__", "ssl_include_verify_flags must be names of"),
        ("rediss://localhost/0?ssl_ca_certs=/nowhere/ca.pem", "TLS that can't be had (No such file or directory)"),
        ("rediss://localhost/0?ssl_ciphers=hunter2", "TLS that can't be had"),
        ("redis://localhost/0?protocol=9", "its parameter protocol must be one of 2, 3"),
        ("redis://localhost/0?socket_timeout=inf", "socket_timeout must be seconds, more than 0 and at most 60"),
        ("redis://localhost/0?socket_timeout=nan", "socket_timeout must be seconds"),
        ("redis://localhost/0?socket_connect_timeout=soon", "socket_connect_timeout must be seconds"),
        ("redis://localhost/0?socket_keepalive=off", "socket_keepalive must be yes or no"),
        ("redis://localhost/0?health_check_interval=1e9", "health_check_interval must be 0 to 3600 seconds"),
        ("redis://localhost/0?client_name=a%20b", "client_name must be a word of ASCII"),
        ("redis://a..b/0", "names a host that can't be one"),
        ("redis://a%00b/0", "names a host that can't be one"),
        ("redis://h1,h2/0", "names a host that can't be one"),
        ("redis://localhost:0/0", "is no Redis URL"),
        ("redis://localhost:99999999/0", "is no Redis URL"),
        ("redis://:pass#hunter2@localhost/0", "is no Redis URL"),
        ("redis://:1#hunter2@localhost/0", "is no Redis URL"),
        ("http://hunter2", "is no Redis URL"),
        ("REDIS://localhost/0", "is no Redis URL; write it like redis://user:password@host:6379/0"),
        (" redis://localhost/0", "is no Redis URL; write it like redis://user:password@host:6379/0"),
        ("redis:/localhost", "is no Redis URL; write it like redis://user:password@host:6379/0"),
        ("redis://localhost/0?hunter2=", "has a parameter that is not permitted"),
        ("unix://run/redis.sock", "names no path of a socket"),
        ("unix:///a%00b", "names no path of a socket"),
        (f"unix:///{'a' * 200}", "names no path of a socket, of 107 bytes at most"),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "BROKER_URL"])
def test_a_redis_url_that_could_never_work_is_refused_without_a_word_of_it(
    name: str, url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", DATABASE)
    monkeypatch.setenv(f"DORA_STATE_{name}", url)
    with pytest.raises(InvalidInput, match="correct it and start again") as refused:
        load_settings()
    assert str(refused.value).startswith(f"DORA_STATE_{name}: ")
    assert says in str(refused.value)
    assert "hunter2" not in all_told(refused.value)


EVERY_PARAMETER = {
    "client_name": "bank",
    "db": "0",
    "health_check_interval": "30",
    "password": "p%25p",
    "protocol": "3",
    "socket_connect_timeout": "1.5",
    "socket_timeout": "60",
    "username": "u",
    "socket_keepalive": "True",
    "ssl_ca_path": "/",
    "ssl_cert_reqs": "required",
    "ssl_check_hostname": "no",
    "ssl_ciphers": "HIGH",
    "ssl_exclude_verify_flags": "VERIFY_X509_STRICT",
    "ssl_include_verify_flags": "[VERIFY_X509_STRICT, VERIFY_CRL_CHECK_LEAF]",
    "ssl_min_version": "771",
    "ssl_password": "x",
}


@pytest.mark.parametrize("scheme", sorted(PARAMETERS))
async def test_each_permitted_parameter_is_understood_by_all_clients_that_we_use(scheme: str, tmp_path: Path) -> None:
    pem = own_certificate(tmp_path)
    given = EVERY_PARAMETER | {
        "ssl_ca_certs": f"{pem}",
        "ssl_ca_data": quote(pem.read_text().partition("-----BEGIN PRIVATE")[0]),
        "ssl_certfile": f"{pem}",
        "ssl_keyfile": f"{pem}&ssl_certfile={pem}",
    }
    assert set(given) == {name for permitted in PARAMETERS.values() for name in permitted}
    place = "/run/redis.sock" if scheme == "unix" else "localhost:6379/0"
    for name in PARAMETERS[scheme]:
        url = f"{scheme}://{place}?{name}={given[name]}"
        chosen = load_settings(database_url=DATABASE, redis_url=url, broker_url=url)
        assert chosen.redis_url is not None
        async with open_redis(url, "bank", 2) as redis:
            await redis.connection()
        JobBroker(url, "bank", [], print, 1).stop(0)
        if scheme != "unix" and name not in NOT_IN_A_CLUSTER:
            load_settings(database_url=DATABASE, redis_url=url, redis_cluster=True)
            async with open_redis(url, "bank", 2, cluster=True):
                pass


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://h", 0),
        ("redis://h/0/", 0),
        ("redis://h//7", 7),
        ("redis://h/%37", 7),
        ("redis://h/7?db=", 7),
        ("redis://h/7?db=6&client_name=", 6),
        ("rediss://h/7/?ssl_ca_certs=", 7),
    ],
)
async def test_a_database_that_redis_py_understands_is_taken(url: str, database: int) -> None:
    load_settings(database_url=DATABASE, redis_url=url, broker_url=url)
    async with open_redis(url, "bank", 2) as redis:
        assert (await redis.connection()).db == database


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://h/1", "a cluster has only database 0"),
        ("redis://h?db=1", "a cluster has only database 0"),
        ("redis://h//1/?db=", "a cluster has only database 0"),
        ("redis://h?db=hunter2", "its parameter db must be a number"),
        ("redis://:6379/0", "must name the host of one of the cluster's nodes"),
        ("rediss://h?ssl_password=hunter2", "has a parameter that is not permitted with rediss:// in a cluster"),
        ("unix:///run/redis.sock", "needs a Redis URL with the host of one of its nodes"),
    ],
)
def test_what_a_cluster_can_not_take_is_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=r"DORA_STATE_REDIS_(URL|CLUSTER)") as refused:
        load_settings(database_url=DATABASE, redis_url=url, redis_cluster=True)
    assert says in str(refused.value)
    assert "hunter2" not in all_told(refused.value)


@pytest.mark.parametrize("url", ["redis://h?db=hunter2", "redis://h/hunter2", "redis://hunter2:x"])
def test_a_url_of_a_cluster_is_refused_without_a_word_of_it_by_itself_too(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be a number|is no number|is no Redis URL") as refused:
        require_redis_url(url, cluster=True)
    assert "hunter2" not in all_told(refused.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:hunter2@h/db?sslmode=bogus", "its parameter sslmode must be one of disable, allow, prefer, "),
        ("postgresql://h/db?target_session_attrs=hunter2", "target_session_attrs must be one of any, read-write, "),
        ("postgresql://h/db?replication=database", "its parameter replication must be one of off"),
        ("postgresql://h/db?sslmode=", "its parameter sslmode must be one of disable, allow, prefer, "),
        ("postgresql://h/db?sslmode=hunter2&target_session_attrs=hunter2", "must be one of "),
        ("postgresql://h/db?sslnegotiation=direct", "libpq does not take its parameter sslnegotiation as it is"),
        (
            "postgresql://h/db?sslnegotiation=direct&sslmode=prefer",
            "libpq does not take its parameter sslnegotiation as it is",
        ),
        ("postgresql://h/db?require_auth=hunter2", "libpq does not take its parameter require_auth as it is"),
        ("postgresql://h/db?min_protocol_version=9", "libpq does not take its parameter min_protocol_version as it is"),
        ("postgresql://h/db?max_protocol_version=bogus", "its parameter max_protocol_version as it is"),
        ("postgresql://h/db?scram_client_key=hunter2", "libpq does not take its parameter scram_client_key as it is"),
        ("postgresql://h/db?service=hunter2", "libpq does not take its parameter service as it is"),
        (
            "postgresql://h/db?user=hunter2&sslrootcert=system&sslmode=require",
            "libpq does not take its parameters sslmode and sslrootcert together",
        ),
        (
            "postgresql://h/db?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
            "libpq does not take its parameters ssl_max_protocol_version and ssl_min_protocol_version together",
        ),
        ("postgresql://h/db?connect_timeout=hunter2", "its parameter connect_timeout must be a whole number, -2147"),
        ("postgresql://h/db?connect_timeout=", "its parameter connect_timeout must be a whole number"),
        ("postgresql://h/db?keepalives_idle=1.5", "its parameter keepalives_idle must be a whole number"),
        ("postgresql://h/db?tcp_user_timeout=2147483648", "must be a whole number, -2147483648 to 2147483647"),
        (f"postgresql://h/db?tcp_user_timeout={'9' * 5000}", "must be a whole number, -2147483648 to 2147483647"),
        ("postgresql://h:99999999/db", "its ports must be 1 to 65535"),
        ("postgresql://h:0/db", "its ports must be 1 to 65535"),
        ("postgresql://h:065536/db", "its ports must be 1 to 65535"),
        ("host=h port=' '", "its ports must be 1 to 65535"),
        ("postgresql://a..b/db", "it names a host that can't be one"),
        (f"postgresql://h,{'a' * 64}/db", "it names a host that can't be one"),
        ("host=h:5432", "it names a host that can't be one"),
        ("host=@hunter2 dbname=db", "is no PostgreSQL URL"),
        ("postgresql://u:hunter2@@h/db", "is no PostgreSQL URL"),
        (f"host=h,/{'a' * 120}", "the path of its socket, .s.PGSQL and the port included, must have 107 bytes at most"),
        (f"host=/{'a' * 93} port=05432", "the path of its socket"),
        (f"host=/{'a' * 92},/a port=15432,1", "the path of its socket"),
        (f"host=/{'ü' * 47}", "the path of its socket"),
        ("postgresql://h/db?hostaddr=h", "its parameter hostaddr must be addresses"),
        ("host=a,b port=1,2,3", "must be as many"),
        ("host=a,b hostaddr=127.0.0.1", "must be as many"),
        ("postgresql://h/db?hunter2=1", "is no PostgreSQL URL"),
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "READ_DATABASE_URL"])
def test_a_postgresql_url_that_could_never_work_is_refused_without_a_word_of_it(
    name: str, url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DORA_STATE_DATABASE_URL", DATABASE)
    monkeypatch.setenv(f"DORA_STATE_{name}", url)
    with pytest.raises(InvalidInput, match=f"DORA_STATE_{name}") as refused:
        load_settings()
    assert says in str(refused.value)
    assert "hunter2" not in all_told(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h1:5432,h2:5433/db?target_session_attrs=read-write&sslmode=verify-full&connect_timeout=3",
        "postgresql://u@/db?host=/var/run/postgresql&port=5433",
        "host=a,b port=5432 hostaddr=127.0.0.1,::1 keepalives=0",
        f"host=/{'a' * 92} port=005432",
        f"host=/a,/{'a' * 92} port=15432,5432",
        "postgresql://h:05432/db?connect_timeout=%203&keepalives_idle=%2B1%20",
        "postgresql://h/db?tcp_user_timeout=2147483647&keepalives=-2147483648",
        "postgresql://h/db?ssl_min_protocol_version=tlsv1.2&ssl_max_protocol_version=",
        "postgresql://h/db?sslnegotiation=direct&sslmode=require",
        "postgresql://h/db?sslrootcert=system",
        "postgresql://h/db?gssencmode=require&require_auth=scram-sha-256&min_protocol_version=3.2",
        "host=h passfile=/dev/null options='-c a\\\\ b=c' application_name='it\\'s'",
        "postgresql://",
    ],
)
def test_postgresql_urls_that_libpq_takes_are_taken(url: str) -> None:
    assert load_settings(database_url=url).database_url == SecretStr(url)


@pytest.mark.parametrize(
    ("name", "value"), [("PGSSLMODE", "bogus"), ("PGGSSENCMODE", "require"), ("PGPORT", "x"), ("PGSERVICE", "none")]
)
def test_what_the_environment_says_to_libpq_is_no_fault_of_a_url(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    load_settings(database_url="postgresql://h/db?target_session_attrs=any")


def test_nobody_is_asked_and_no_password_looked_for_while_a_url_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.touch(0o644)  # libpq would warn of that on stderr
    passwords.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        port = tcp.getsockname()[1]
        local.bind(f"{tmp_path}/.s.PGSQL.{port}")
        local.listen()
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(port))
        for host in ("127.0.0.1", tmp_path):
            load_settings(database_url=f"host={host} port={port} passfile={passwords}")
        for listener in (tcp, local):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
    assert capfd.readouterr() == ("", "")


def own_certificate(directory: Path) -> Path:
    """A certificate and its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = directory / "client.pem"
    file.write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, *form)
    )
    return file
