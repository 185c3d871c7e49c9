"""docker-compose.yml and Dockerfile hold what a bank asks of them: limits, health, no root, no secret in the open."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_state.watching.serving import READY_PATH
from tests.support.command_line import ROOT
from tests.support.compose import FILE, compose, ours

SERVICES = compose()["services"]
KNOWN = {
    *("image", "build", "user", "init", "command", "environment", "secrets", "networks", "ports", "volumes", "tmpfs"),
    *("read_only", "cap_drop", "security_opt", "restart", "logging", "healthcheck", "depends_on", "deploy"),
    *("stop_grace_period", "shm_size"),
}
"""Of the compose specification; a key with a slip of the pen would be left out unseen by some tools."""
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KNOWN
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service


@every_service
def test_a_service_has_an_image_of_one_version(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag), SERVICES[name]["image"]


@every_service
def test_a_service_that_runs_says_how_it_is_and_is_started_again(name: str) -> None:
    service = SERVICES[name]
    if name == "init":
        assert (service["restart"], "healthcheck" in service) == ("no", False)
        return
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", ["api", "worker", "queue"])
def test_ours_are_healthy_when_they_are_ready_and_not_when_they_only_answer(name: str) -> None:
    """The port of metrics answers at any path."""
    _, _, _, line = ours()[name]["healthcheck"]["test"]
    assert f"{READY_PATH}'" in line


@every_service
def test_what_a_service_refers_to_is_there(name: str) -> None:
    document, service = compose(), SERVICES[name]
    assert set(service.get("secrets", ())) <= set(document["secrets"])
    assert set(service["networks"]) <= set(document["networks"])
    for other, condition in service.get("depends_on", {}).items():
        healthy = {"condition": "service_healthy" if other != "init" else "service_completed_successfully"}
        assert condition == healthy
        assert other in SERVICES
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert source in document["volumes"] or volume.endswith(":ro"), volume


@every_service
def test_no_secret_stands_in_the_open(name: str) -> None:
    service = SERVICES[name]
    for variable, text in service.get("environment", {}).items():
        if re.search("URL|PASSWORD|KEY|TOKEN", variable):
            assert variable.endswith("_FILE"), variable
            assert text.removeprefix("/run/secrets/") in service["secrets"]
    assert "://" not in yaml.safe_dump({"command": service.get("command"), "environment": service.get("environment")})


def test_only_the_server_and_grafana_are_reached_from_outside_and_from_this_machine_by_default() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["${DORA_STATE_PUBLISH:-127.0.0.1}:8000:8000"],
        "grafana": ["${DORA_STATE_PUBLISH:-127.0.0.1}:3000:3000"],
    }
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == set(published)
    assert compose()["networks"]["inside"] == {"internal": True}


def test_grafana_calls_nobody_and_brings_no_plugin_in() -> None:
    told = SERVICES["grafana"]["environment"]
    off = [name for name in told if re.match("GF_(ANALYTICS|NEWS)_", name)]
    assert {told[name] for name in off} == {"false"}
    assert len(off) == 4
    assert told["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"


def test_every_part_that_has_a_name_is_used() -> None:
    text = FILE.read_text()
    assert set(re.findall(r"&(\w+)$", text, re.MULTILINE)) == set(re.findall(r"\*(\w+)$", text, re.MULTILINE))


def test_all_roles_of_workers_are_there_and_the_queue_is_one() -> None:
    from dora_state.worker import EVERY_ROLE

    roles = [word for name in ("worker", "queue") for word in ours()[name]["command"] if word in EVERY_ROLE]
    roles.remove("worker") if "worker" in roles else None
    assert sorted(roles) == sorted(EVERY_ROLE)
    assert all("replicas" not in service["deploy"] for service in SERVICES.values())


PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"


def test_what_is_mounted_is_in_the_repository() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", ()) if volume[0] == "."]
    assert len(mounted) == 3
    assert [one for one in mounted if not (ROOT / one.partition(":")[0]).is_dir()] == []


def test_prometheus_asks_every_process_that_runs_ours() -> None:
    scraped = {
        (name, found["port"])
        for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
        for found in job.get("dns_sd_configs", ())
        for name in found["names"]
    }
    assert scraped == {("api", 9464), ("worker", 9464), ("queue", 9464)}


def test_the_secrets_are_made_once_kept_and_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dora_state.settings import load_settings

    script = shutil.copy(ROOT / "deploy" / "make-secrets.sh", tmp_path)
    said = [subprocess.run(["sh", script], capture_output=True, check=True).stdout for _ in range(2)]
    directory = tmp_path / "secrets"
    made = {one.name: one.read_text().strip() for one in directory.iterdir()}
    files = {name: Path(one["file"]) for name, one in compose()["secrets"].items()}
    assert {name: path.parts for name, path in files.items()} == {name: ("deploy", "secrets", name) for name in made}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in directory.iterdir()} == {0o444}
    assert made["postgres_password"] in made["database_url"]
    assert made["broker.conf"].removeprefix("requirepass ") in made["broker_url"]
    assert len({text for name, text in made.items() if "url" not in name}) == 4
    assert all(made["postgres_password"].encode() not in words for words in said)
    for name in ("database", "redis", "broker"):
        file = directory / f"{'cache' if name == 'redis' else name}_url"
        monkeypatch.setenv(f"DORA_STATE_{name.upper()}_URL_FILE", str(file))
    assert load_settings().broker_url is not None
    subprocess.run(["sh", script], capture_output=True, check=True)
    assert {one.name: one.read_text().strip() for one in directory.iterdir()} == made


def test_the_image_is_made_of_what_is_locked_and_is_not_run_by_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes -r requirements/runtime.txt" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert {service["user"] for service in ours().values()} == {"10001:10001"}
    assert "://" not in DOCKERFILE


def test_all_packages_go_into_the_image_and_nothing_else_is_sent_to_the_build() -> None:
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    sources = {source for line in copied for source in line}
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name for name in project["tool"]["setuptools"]["packages"]["find"]["include"] if "." not in name}
    assert packages <= sources
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == sources
    assert all((ROOT / source).exists() for source in sources)


def _has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _has_compose(), reason="there is no `docker compose` on this machine")
def test_docker_compose_takes_the_file() -> None:
    done = subprocess.run(["docker", "compose", "-f", str(FILE), "config", "--quiet"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
