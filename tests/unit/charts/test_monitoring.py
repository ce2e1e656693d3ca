"""Alerts, runbooks, dashboards: queries that parse, metrics that exist, one runbook an alert."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from hack import dashboards
from hack.cli.paths import ROOT
from tests.unit.charts.conftest import AUTH, CHART, Obj, merged, named, of_kind, render, rendered

RUNBOOKS = ROOT / "docs" / "runbooks"
ELSEWHERE = {
    "kube_job_status_failed": "kube-state-metrics",
    "certmanager_certificate_expiration_timestamp_seconds": "cert-manager",
}
SUFFIXES = {
    "Counter": ("_total",),
    "CounterMetricFamily": ("_total",),
    "Histogram": ("_bucket", "_count", "_sum"),
    "Gauge": ("",),
    "GaugeMetricFamily": ("",),
}
WANTED = {
    "HaatOperatorDown", "HaatReconcileErrors", "HaatQueueStuck", "HaatStreamNotPlayable", "HaatIngestLost",
    "HaatFanoutSaturated", "HaatFlashSaleNotPrewarmed", "HaatStockMismatch", "HaatCertExpiry", "HaatCRNotReady",
}  # fmt: skip
RULES: list[Obj] = [
    rule for group in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]


def metrics() -> set[str]:
    """Names of all series that the code exports, from the calls that define them."""
    found: set[str] = set()
    for package in ("operators", "workloads", "ml_serving"):
        for file in (ROOT / package).rglob("*.py"):
            if "node_modules" not in file.parts:
                found |= set(defined(ast.parse(file.read_text())))
    return found


def defined(tree: ast.Module) -> Iterator[str]:
    """Series of `Counter("name", …)` and of gauges that are made in a loop over a dict of names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SUFFIXES and node.args:
            for name in names_of(node.args[0], tree):
                for suffix in SUFFIXES[node.func.id]:
                    yield name.removesuffix("_total") + suffix


def names_of(argument: ast.expr, tree: ast.Module) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        prefix = str(argument.values[0].value)
        tables = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
        for key in (key for table in tables for key in table.keys):
            if isinstance(key, ast.Constant):
                yield f"{prefix}{key.value}"


def selectors(expression: str) -> set[str]:
    """Names of the series in a query."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.add(node.vector_selector.name)
        for part in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, part, None)
            if child is not None:
                visit(child)
        for child in getattr(node, "args", None) or ():
            visit(child)

    visit(promql_parser.parse(expression.replace("$stream", ".*")))
    return found


EXPORTED = metrics()
PANELS = [
    pytest.param(target["expr"], id=f"{path.stem}-{panel['title']}-{target['refId']}")
    for path, text in dashboards.files().items()
    for panel in json.loads(text)["panels"]
    for target in panel["targets"]
]


def test_the_code_exports_metrics() -> None:
    assert {
        "haat_leader",
        "haat_orders_total",
        "haat_transcoder_playable",
        "haat_fanout_tick_lag_seconds_bucket",
    } <= EXPORTED


def test_selectors_are_found_in_nested_queries() -> None:
    query = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m]))) > 1 or (b / (c + d)) > 0"
    assert selectors(query) == {"a_bucket", "b", "c", "d"}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
class TestAlert:
    def test_reads_series_that_exist(self, rule: Obj) -> None:
        assert selectors(rule["expr"]) - set(ELSEWHERE) <= EXPORTED

    def test_says_what_how_bad_and_where_to_look(self, rule: Obj) -> None:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
        assert rule["annotations"]["runbook_url"] == f"RUNBOOKS/{rule['alert']}.md"

    def test_has_a_runbook(self, rule: Obj) -> None:
        text = (RUNBOOKS / f"{rule['alert']}.md").read_text()
        assert text.startswith(f"# {rule['alert']}: ")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Symptom", "Check", "Fix"]
        assert "```console\n" in text

    def test_names_only_labels_that_its_query_keeps(self, rule: Obj) -> None:
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        if "by (" in rule["expr"]:
            kept = {
                label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")
            }
            assert used <= kept


def test_the_alerts_are_those_of_the_design() -> None:
    assert {rule["alert"] for rule in RULES} == WANTED


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Haat*.md")} == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("expression", PANELS)
def test_a_panel_reads_series_that_exist(expression: str) -> None:
    assert selectors(expression) - set(ELSEWHERE) <= EXPORTED


def test_the_dashboards_are_those_of_their_description() -> None:
    assert dashboards.main(["--check"]) == 0
    assert {path.stem for path in dashboards.FOLDER.iterdir()} == {"operators", "streams", "rooms", "commerce"}


def test_panels_do_not_overlap() -> None:
    for text in dashboards.files().values():
        cells: set[tuple[int, int]] = set()
        for panel in json.loads(text)["panels"]:
            place = panel["gridPos"]
            area = {(x, place["y"]) for x in range(place["x"], place["x"] + place["w"])}
            assert not area & cells, panel["title"]
            assert place["x"] + place["w"] <= dashboards.COLUMNS
            cells |= area


def test_nothing_of_the_prometheus_operator_is_made_unless_asked_for() -> None:
    assert not of_kind(rendered("default"), "ServiceMonitor", "PodMonitor", "PrometheusRule")


def test_monitors_select_the_services_and_the_streams() -> None:
    documents = rendered("monitored")
    service_monitor = named(documents, "ServiceMonitor", "haat")["spec"]
    wanted = service_monitor["selector"]["matchLabels"].items()
    services = [d for d in of_kind(documents, "Service") if wanted <= d["metadata"]["labels"].items()]
    scraped = {d["metadata"]["name"] for d in services if any(p["name"] == "http" for p in d["spec"]["ports"])}
    assert scraped == {
        "operators",
        "identity",
        "ingest",
        "edge",
        "webrtc",
        "recorder",
        "probe",
        "commerce",
        "committer",
    }
    assert service_monitor["endpoints"][0]["honorLabels"] is True
    assert named(documents, "PodMonitor", "haat-streams")["spec"]["namespaceSelector"] == {"any": True}
    assert all(
        d["metadata"]["labels"]["release"] == "prometheus" for d in of_kind(documents, "ServiceMonitor", "PodMonitor")
    )


def test_the_rule_keeps_prometheus_templates_and_names_the_runbooks() -> None:
    values = merged(
        AUTH, {"monitoring": {"prometheusRule": {"enabled": True, "runbooks": "https://docs.example.com/r"}}}
    )
    spec = named(render(values), "PrometheusRule", "haat")["spec"]
    rules = [rule for group in spec["groups"] for rule in group["rules"]]
    assert len(rules) == len(RULES)
    assert all(rule["annotations"]["runbook_url"].startswith("https://docs.example.com/r/Haat") for rule in rules)
    assert any("{{ $labels.stream }}" in rule["annotations"]["summary"] for rule in rules)


def test_dashboards_are_config_maps_for_grafana() -> None:
    found = [d for d in of_kind(rendered("monitored"), "ConfigMap") if "grafana_dashboard" in d["metadata"]["labels"]]
    assert len(found) == 4
    for config_map in found:
        (text,) = config_map["data"].values()
        assert json.loads(text)["uid"].startswith("haat-")
