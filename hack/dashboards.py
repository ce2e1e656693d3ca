"""`python -m hack.dashboards [--check]`: the Grafana dashboards of the chart from a short description.

A dashboard is rows of panels, a panel is a title, a unit and its queries; positions, ids and colours follow from that,
so a change is one line here instead of forty of JSON. The files are generated; `--check` says when they differ.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cli.paths import CHARTS

FOLDER = CHARTS / "haat" / "files" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph (or one number with `stat`); a query is an expression and its legend."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    stat: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page; `variables` are (name, query of label values)."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()
    per_row: int = 3


def quantile(value: float, metric: str, by: str, where: str = "") -> str:
    """A quantile of a histogram over five minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({value}, sum by ({labels}) (rate({metric}_bucket{where}[5m])))"


def panel(title: str, *queries: tuple[str, str], unit: str = "short", stat: bool = False) -> Panel:
    """A panel."""
    return Panel(title, queries, unit, stat)


OPERATORS = Dashboard(
    "haat-operators",
    "Haat / Operators",
    (
        panel("Leaders", ("sum(haat_leader)", "leaders"), stat=True),
        panel("Resources not Ready", ("count(haat_cr_not_ready_seconds > 0) or vector(0)", "not ready"), stat=True),
        panel("Queue depth", ("max(haat_queue_depth)", "keys")),
        panel(
            "Reconciles", ("sum by (kind, result) (rate(haat_reconcile_total[5m]))", "{{kind}} {{result}}"), unit="ops"
        ),
        panel(
            "Time of a reconcile",
            (quantile(0.5, "haat_reconcile_seconds", "kind"), "{{kind}} p50"),
            (quantile(0.95, "haat_reconcile_seconds", "kind"), "{{kind}} p95"),
            unit="s",
        ),
        panel("Wait for a worker, p95", (quantile(0.95, "haat_queue_wait_seconds", ""), "p95"), unit="s"),
        panel(
            "Writes",
            ("sum by (kind, verb, code) (rate(haat_apply_total[5m]))", "{{kind}} {{verb}} {{code}}"),
            unit="ops",
        ),
        panel(
            "Creation to Standby, p95", (quantile(0.95, "haat_time_to_standby_seconds", "kind"), "{{kind}}"), unit="s"
        ),
        panel("Age of the last watch event", ("max by (kind) (haat_watch_lag_seconds)", "{{kind}}"), unit="s"),
        panel("Conditions", ("sum by (kind, type, status) (haat_cr_condition)", "{{kind}} {{type}}={{status}}")),
        panel(
            "Not Ready, longest", ("topk(10, haat_cr_not_ready_seconds)", "{{kind}} {{namespace}}/{{name}}"), unit="s"
        ),
        panel(
            "Sweeps and publications",
            ("sum by (result) (rate(haat_sweep_total[5m]))", "sweep {{result}}"),
            ("sum by (key) (rate(haat_publication_total[5m]))", "{{key}}"),
            unit="ops",
        ),
    ),
)

STREAMS = Dashboard(
    "haat-streams",
    "Haat / Streams",
    (
        panel(
            "Live",
            ("sum(haat_transcoder_receiving)", "receiving"),
            ("sum(haat_transcoder_playable)", "playable"),
            stat=True,
        ),
        panel(
            "Publishers", ("sum(haat_ingest_publishers)", "publishing"), ("sum(haat_ingest_connections)", "connected")
        ),
        panel("From publishers", ("sum(rate(haat_ingest_bytes_total[1m])) * 8", "all"), unit="bps"),
        panel("Bit rate", ('haat_transcoder_input_kbps{stream=~"$stream"}', "{{stream}}"), unit="Kbits"),
        panel("Encoder speed", ('haat_transcoder_speed{stream=~"$stream"}', "{{stream}}")),
        panel(
            "Encoder failures",
            ('sum by (stream) (increase(haat_transcoder_encoder_failures_total{stream=~"$stream"}[5m]))', "{{stream}}"),
        ),
        panel(
            "Refused and broken publishers",
            ("sum by (reason) (rate(haat_ingest_refused_total[5m]))", "refused {{reason}}"),
            ("sum by (stage) (rate(haat_ingest_protocol_errors_total[5m]))", "broken {{stage}}"),
            ("sum(rate(haat_ingest_upload_reconnects_total[5m]))", "upload again"),
            unit="ops",
        ),
        panel(
            "Viewers' requests",
            ("sum by (kind, status) (rate(haat_edge_requests_total[1m]))", "{{kind}} {{status}}"),
            unit="reqps",
        ),
        panel("To viewers", ("sum by (kind) (rate(haat_edge_bytes_total[1m])) * 8", "{{kind}}"), unit="bps"),
        panel(
            "Edge cache",
            ("sum(rate(haat_edge_cache_hits[1m]))", "hits"),
            ("sum(rate(haat_edge_cache_misses[1m]))", "misses"),
            ("sum(rate(haat_edge_cache_coalesced[1m]))", "coalesced"),
            unit="ops",
        ),
        panel("Edge memory for segments", ("sum by (pod) (haat_edge_cache_bytes)", "{{pod}}"), unit="bytes"),
        panel(
            "Origins",
            (
                'sum by (stream, kind) (rate(haat_transcoder_origin_requests_total{stream=~"$stream"}[1m]))',
                "{{stream}} {{kind}}",
            ),
            ("sum(rate(haat_edge_origin_failures_total[1m]))", "without an origin"),
            unit="reqps",
        ),
    ),
    (("stream", "label_values(haat_transcoder_receiving, stream)"),),
)

_ROOM = '{stream=~"$stream"}'
ROOMS = Dashboard(
    "haat-rooms",
    "Haat / Rooms",
    (
        panel("Sockets", (f"sum by (stream) (haat_fanout_connections{_ROOM})", "{{stream}}")),
        panel("Viewers", (f"sum by (stream) (haat_fanout_viewers{_ROOM})", "{{stream}}")),
        panel("Pods without events", (f"count(haat_fanout_broker_up{_ROOM} == 0) or vector(0)", "pods"), stat=True),
        panel("Deliveries", (f"sum by (lane) (rate(haat_fanout_deliveries_total{_ROOM}[1m]))", "{{lane}}"), unit="ops"),
        panel(
            "Drops",
            (f"sum by (lane, reason) (rate(haat_fanout_drops_total{_ROOM}[1m]))", "{{lane}} {{reason}}"),
            unit="ops",
        ),
        panel(
            "Arrival to socket",
            (quantile(0.5, "haat_fanout_tick_lag_seconds", "stream", _ROOM), "{{stream}} p50"),
            (quantile(0.99, "haat_fanout_tick_lag_seconds", "stream", _ROOM), "{{stream}} p99"),
            unit="s",
        ),
        panel(
            "From viewers",
            (f"sum by (kind, result) (rate(haat_fanout_inbound_total{_ROOM}[1m]))", "{{kind}} {{result}}"),
            unit="ops",
        ),
        panel("Joins", (f"sum by (source) (rate(haat_fanout_recoveries_total{_ROOM}[1m]))", "{{source}}"), unit="ops"),
        panel("Closed by us", (f"sum by (code) (rate(haat_fanout_closes_total{_ROOM}[1m]))", "{{code}}"), unit="ops"),
    ),
    (("stream", "label_values(haat_fanout_connections, stream)"),),
)

COMMERCE = Dashboard(
    "haat-commerce",
    "Haat / Commerce",
    (
        panel("Orders", ("sum by (status) (rate(haat_orders_total[1m]))", "{{status}}"), unit="ops"),
        panel(
            "A transaction",
            (quantile(0.5, "haat_commit_seconds", ""), "p50"),
            (quantile(0.99, "haat_commit_seconds", ""), "p99"),
            unit="s",
        ),
        panel("Reservations a transaction, p95", (quantile(0.95, "haat_commit_batch", ""), "p95")),
        panel(
            "Sales without capacity",
            ("min by (namespace, name) (haat_sale_prewarm_missing)", "{{namespace}}/{{name}}"),
            unit="s",
        ),
        panel(
            "Start of a sale against its plan",
            ("max by (namespace, name) (haat_sale_start_skew_seconds)", "{{namespace}}/{{name}}"),
            unit="s",
        ),
        panel(
            "Failed audits",
            ('sum(kube_job_status_failed{job_name=~"haat-audit-.*"}) or vector(0)', "failed"),
            stat=True,
        ),
        panel(
            "Model answers",
            ("sum by (app, status) (rate(haat_ml_requests_total[5m]))", "{{app}} {{status}}"),
            unit="reqps",
        ),
        panel("Time of a model", (quantile(0.95, "haat_ml_request_seconds", "app"), "{{app}} p95"), unit="s"),
        panel(
            "Events read by models", ("sum by (outcome) (rate(haat_ml_events_total[5m]))", "{{outcome}}"), unit="ops"
        ),
    ),
)

ALL = (OPERATORS, STREAMS, ROOMS, COMMERCE)


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it (schema 39)."""
    width = COLUMNS // dashboard.per_row
    panels = [
        _panel(
            item,
            number,
            {
                "x": number % dashboard.per_row * width,
                "y": number // dashboard.per_row * HEIGHT,
                "w": width,
                "h": HEIGHT,
            },
        )
        for number, item in enumerate(dashboard.panels)
    ]
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["haat"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), *(_variable(name, query) for name, query in dashboard.variables)]},
        "panels": panels,
    }


def _panel(item: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "title": item.title,
        "type": "stat" if item.stat else "timeseries",
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": item.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(item.queries)
        ],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    everything = {"text": "All", "value": "$__all"}
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": everything,
    }


def files() -> dict[Path, str]:
    """Path -> content of every dashboard."""
    return {
        FOLDER / f"{item.uid.removeprefix('haat-')}.json": json.dumps(document(item), separators=(",", ":")) + "\n"
        for item in ALL
    }


def main(arguments: list[str]) -> int:
    """Write the files, or say which differ; 1 when one does."""
    wanted = files()
    if "--check" in arguments:
        stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        if stale:
            sys.stderr.write(
                f"dashboards differ from hack/dashboards.py: {', '.join(stale)}; run python -m hack.dashboards\n"
            )
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
