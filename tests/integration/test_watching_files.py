"""The files for Prometheus and Grafana: they are what these read, and ask for nothing that there is not."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dora_state.platform import open_platform
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager
from dora_state.watching.health_metrics import COUNTERS, GAUGES
from dora_state.watching.registry import registry_of
from tests.support.gathering import until_gathered
from tests.support.promql import selectors

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
PROMTOOL = os.environ.get("DORA_STATE_TEST_PROMTOOL") or shutil.which("promtool")
"""Prometheus' own checker, as Debian's package prometheus has it; where it is not, a parser of its language checks."""
WORKFLOW = {"type": "CreateWorkflow", "actor": "a", "data": {"workflow_id": "w", "definition_id": "d"}}
OF_SCRAPING = frozenset({"up"})
LABELS_OF_SCRAPING = frozenset({"job", "instance"})


def rules() -> Iterator[Mapping[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def boards() -> list[Any]:
    return [json.loads(file.read_text()) for file in DASHBOARDS]


def panels(board: Any) -> list[Any]:
    return [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", []))]


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for board in boards():
        for panel in panels(board):
            for target in panel.get("targets", []):
                yield target["expr"].replace("$__rate_interval", "5m")


@pytest.fixture
async def there_are(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[dict[str, set[str]]]:
    """The labels of each metric that a process has, by its name as it is asked for."""
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_platform(settings) as platform:
        manager, registry = StateManager(platform), registry_of(platform)
        await manager.submit(WORKFLOW)
        platform.requests.answered("GET", "/health", 200, 0.1)
        await until_gathered(platform)
        found: dict[str, set[str]] = {}
        for metric in registry.collect():
            ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
            for end in ends:
                found.setdefault(f"{metric.name}{end}", set())
            for sample in metric.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        for name in ("waiting", "in_hand", "dead", "delayed", "oldest_seconds"):
            found.setdefault(f"dora_state_queue_{name}", {"tenant"})
        for one in (*GAUGES, *COUNTERS):  # also of what this house has not, such as a replica
            found.setdefault(one.metric + ("_total" if one in COUNTERS else ""), {"tenant"})
        yield found


def test_every_expression_asks_only_for_metrics_and_labels_that_there_are(there_are: dict[str, set[str]]) -> None:
    made = {rule["record"]: {"tenant", "outcome", "level", "kind"} for rule in rules() if "record" in rule}
    known = there_are | made
    asked = [one for expression in expressions() for one in selectors(expression)]
    assert len(asked) > 80
    assert sorted({name for name, _ in asked} - known.keys() - OF_SCRAPING) == []
    for name, labels in asked:
        assert labels <= known.get(name, set()) | LABELS_OF_SCRAPING, name


def test_a_rule_with_a_metric_that_there_is_not_would_be_found(there_are: dict[str, set[str]]) -> None:
    ((name, labels),) = selectors('sum(rate(dora_state_no_such_total{tenant="a"}[5m])) > 0')
    assert (name in there_are, labels) == (False, frozenset({"tenant"}))
    with pytest.raises(ValueError, match=r"."):
        list(selectors("sum(rate(x[5m])"))


def test_every_alert_says_how_bad_it_is_what_is_wrong_and_where_stands_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 15
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (page, anchor in anchors) == ("docs/operations.md", True), rule["alert"]


def test_dashboards_have_ids_of_their_own_and_every_panel_has_a_source_and_a_place() -> None:
    assert len({board["uid"] for board in boards()}) == len(boards()) > 0
    for board in boards():
        ids = [panel["id"] for panel in panels(board)]
        places = [tuple(panel["gridPos"].values()) for panel in panels(board)]
        assert len(set(ids)) == len(ids)
        assert len(set(places)) == len(places)
        for panel in panels(board):
            assert panel["type"] == "row" or (panel["targets"] and panel["datasource"]["uid"] == "${datasource}")


def test_every_key_metric_of_the_specification_has_its_row() -> None:
    titles = [panel["title"] for board in boards() for panel in panels(board) if panel["type"] == "row"]
    wanted = ("State operations", "Cache performance", "Transaction performance", "Lock contention", "Storage usage")
    assert set(wanted) <= set(titles)


def test_grafana_is_told_of_prometheus_and_of_the_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dora-state.yml").read_text())["providers"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert provider["options"]["path"].startswith("/var/lib/grafana")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed; DORA_STATE_TEST_PROMTOOL names one")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "deploy/prometheus/prometheus.yml"),
        ("check", "rules", *(str(file.relative_to(REPOSITORY)) for file in RULES)),
        ("test", "rules", "tests/support/alerts.yml"),
    ],
)
def test_prometheus_itself_takes_the_files_and_its_alerts_tell_what_they_should(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
