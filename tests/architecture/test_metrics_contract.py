"""Metrics, alert rules, dashboard and the alerts' guide agree.

Whether the rules are valid PromQL is asked of `promtool` where it is on the PATH (Debian's package
`prometheus`). Elsewhere their form and the names of metrics and labels in them are checked.
"""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from shop_api.metrics import definitions
from tests.architecture.sources import ROOT, sources
from tests.factories.promql import (
    MADE_BY_PROMETHEUS,
    family_of,
    groupings_in,
    labels_in,
    metrics_in,
)

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
RULES_TEST = DEPLOY / "prometheus" / "rules_test.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"
GUIDE = ROOT / "docs" / "guides" / "alerts.md"
UNITS = ("seconds", "bytes", "connections", "total")
# numbers of things, whose name says which
NUMBERS = {
    "websocket_connections_active",
    "sse_connections_active",
    "processes_running",
    "job_late",
    "pipeline_held_tenants",
    "webhook_pending_deliveries",
}
# labels Prometheus adds to every series
ADDED = {"instance", "job"}
SEVERITIES = {"page", "ticket"}


@cache
def metrics() -> dict[str, MetricWrapperBase]:
    """What is defined, by the name that is exported."""
    return {
        exported_name(metric): metric
        for metric in vars(definitions).values()
        if isinstance(metric, MetricWrapperBase)
    }


def exported_name(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    return f"{family.name}_total" if isinstance(metric, Counter) else family.name


def labels_of(metric: MetricWrapperBase) -> set[str]:
    return {*metric._labelnames, *ADDED, *({"le"} if isinstance(metric, Histogram) else ())}


@cache
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> list[str]:
    targets = [target["expr"] for panel in panels() for target in panel.get("targets", [])]
    return [*(rule["expr"] for rule in rules()), *targets]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def test_every_metric_has_a_meaning_and_a_unit() -> None:
    assert len(metrics()) > 30
    for name, metric in metrics().items():
        (family,) = metric.describe()
        assert family.documentation.endswith("."), name
        assert name.endswith(UNITS) or name in NUMBERS, name


def test_no_label_is_a_tenant_or_a_path() -> None:
    for name, metric in metrics().items():
        assert not labels_of(metric) & {"tenant", "tenant_id", "path", "user"}, name
        # Prometheus' own; ours would be renamed
        assert not set(metric._labelnames) & ADDED, name


def test_every_metric_is_counted_somewhere() -> None:
    """A definition that nobody counts reads as a zero that means well."""
    text = "\n".join(
        source.text
        for source in sources("shop_api", "pipelines")
        if str(source.path) != "shop_api/metrics/definitions.py"
    )
    unused = [
        name
        for name, metric in vars(definitions).items()
        if isinstance(metric, MetricWrapperBase) and not re.search(rf"\b{name}\b", text)
    ]
    assert unused == []


def test_rules_and_dashboard_read_only_what_is_exported() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = {*metrics(), *recorded, *MADE_BY_PROMETHEUS}
    for expression in expressions():
        names = metrics_in(expression)
        assert names, expression
        unknown = {name for name in names if family_of(name, known) not in known}
        assert not unknown, expression


def test_rules_and_dashboard_choose_only_by_labels_there_are() -> None:
    for expression in expressions():
        for name, labels in labels_in(expression).items():
            metric = metrics().get(family_of(name, set(metrics())))
            if metric is not None:
                assert labels <= labels_of(metric), expression
        read = [metrics().get(family_of(n, set(metrics()))) for n in metrics_in(expression)]
        known = [labels_of(metric) for metric in read if metric is not None]
        if known:
            assert groupings_in(expression) <= set().union(*known), expression


def test_the_names_in_promql_are_found() -> None:
    expression = (
        'histogram_quantile(0.95, sum by (le, a) (rate(x_bucket{b=~"y{1,2}",c!="z"}[5m])))'
        ' > on (d) 2 * vector(0) or shop:x:ratio_rate5m{class="w"} and time() - max(u_seconds)'
    )
    assert metrics_in(expression) == {"x_bucket", "shop:x:ratio_rate5m", "u_seconds"}
    assert labels_in(expression) == {"x_bucket": {"b", "c"}, "shop:x:ratio_rate5m": {"class"}}
    assert groupings_in(expression) == {"le", "a", "d"}
    assert family_of("x_bucket", {"x"}) == "x"


def test_rules_have_the_form_prometheus_reads() -> None:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    names = [group["name"] for group in document["groups"]]
    assert len(names) == len(set(names))
    for rule in rules():
        assert set(rule) <= {"record", "alert", "expr", "for", "labels", "annotations"}, rule
        assert ("record" in rule) != ("alert" in rule), rule
        assert rule["expr"].count("(") == rule["expr"].count(")"), rule
        assert rule["expr"].count("{") == rule["expr"].count("}"), rule
    for rule in alerts():
        assert re.fullmatch(r"\d+[smhd]", rule["for"]), rule
        assert rule["labels"]["severity"] in SEVERITIES, rule
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    ("verb", "file"), [("check", RULES), ("test", RULES_TEST)], ids=["check", "test"]
)
def test_promtool_finds_no_fault_in_the_rules(verb: str, file: Path) -> None:
    result = subprocess.run(
        ["promtool", verb, "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_prometheus_is_told_fits_the_product() -> None:
    document = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    (scrape,) = document["scrape_configs"]
    jobs = set(re.findall(r'up\{job="([^"]*)"\}', RULES.read_text(encoding="utf-8")))
    assert jobs == {scrape["job_name"]}
    assert scrape["metrics_path"] == "/metrics"
    assert document["rule_files"] == [RULES.name]


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in alerts()]
    for name, section in sections.items():
        for part in ("**Means**", "**Look at**", "**Do**"):
            assert part in section, f"{name}: {part}"
    for rule in alerts():
        anchor = rule["annotations"]["runbook_url"]
        assert anchor == f"docs/guides/alerts.md#{rule['alert'].lower()}"


def test_the_dashboard_has_the_form_grafana_reads() -> None:
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {"uid", "title", "schemaVersion", "time", "templating", "panels"} <= set(document)
    assert [variable["type"] for variable in document["templating"]["list"]] == ["datasource"]
    assert document.get("id") is None
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["title"], panel
        if panel["type"] == "row":
            continue
        assert panel["type"] in {"timeseries", "stat"}, panel
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel
        assert panel["fieldConfig"]["defaults"]["unit"], panel
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == [chr(ord("A") + index) for index in range(len(letters))], panel


def test_panels_of_the_dashboard_do_not_lie_over_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
