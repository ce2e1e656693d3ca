"""The commands against a real API server: what they print, what they change, and their exit codes."""

import base64
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.cli.conftest import STATUS, Cluster

Shop = tuple[str, Any]
MERGE = "application/merge-patch+json"


def base(namespace: str) -> str:
    return f"/apis/haat.dev/v1alpha1/namespaces/{namespace}"


class TestGet:
    def test_all_kinds_with_the_servers_own_columns(self, shop: Shop) -> None:
        namespace, haat = shop
        text = haat("get").stdout
        assert "LIVESTREAMS" in text
        assert "FLASHSALES" in text
        row = next(line for line in text.splitlines() if "launch" in line and "Standby" in line)
        assert row.split()[:2] == [namespace, "launch"]
        assert "\033[" not in text

    def test_wide_shows_more(self, shop: Shop) -> None:
        _, haat = shop
        assert "master.m3u8" not in haat("get", "streams").stdout
        assert "master.m3u8" in haat("get", "streams", "-o", "wide").stdout

    def test_machine_formats(self, shop: Shop) -> None:
        _, haat = shop
        listed = json.loads(haat("get", "sales", "-o", "json").stdout)
        assert [item["kind"] for item in listed["items"]] == ["FlashSale"]
        one = yaml.safe_load(haat("get", "stream", "launch", "-o", "yaml").stdout)
        assert one["spec"]["title"] == "Launch night"
        assert "managedFields" not in one["metadata"]
        assert haat("get", "-o", "name").stdout.split() == [
            "channel.haat.dev/aarong", "livestream.haat.dev/launch", "flashsale.haat.dev/drop",
        ]  # fmt: skip

    def test_a_name_that_is_not_there(self, shop: Shop) -> None:
        _, haat = shop
        result = haat("get", "stream", "nobody")
        assert result.returncode == 3
        assert "does not exist" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_name_is_found_without_its_namespace(self, api: Cluster, shop: Shop) -> None:
        namespace, _ = shop
        found = json.loads(api("get", "sale", f"{namespace}/drop", "-o", "json").stdout)
        assert found["metadata"]["namespace"] == namespace

    def test_one_name_in_two_shops_asks_which(self, api: Cluster, shop: Shop) -> None:
        namespace, _ = shop
        other = f"{namespace}-b"
        api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
        spec = {"displayName": "Other", "slug": "other"}
        body = {"apiVersion": "haat.dev/v1alpha1", "kind": "Channel", "metadata": {"name": "aarong"}, "spec": spec}
        api.ask("POST", f"{base(other)}/channels", body)
        result = api("describe", "channel", "aarong")
        api.ask("DELETE", f"/api/v1/namespaces/{other}")
        assert result.returncode == 1
        assert f"{namespace}, {other}" in result.stderr
        assert "-n" in result.stderr


class TestDescribe:
    def test_the_story_of_a_stream(self, api: Cluster, shop: Shop) -> None:
        namespace, haat = shop
        owner = {"haat.dev/owner": "livestream.launch"}
        service = {"metadata": {"name": "launch-fanout", "labels": owner}, "spec": {"ports": [{"port": 8080}]}}
        api.ask("POST", f"/api/v1/namespaces/{namespace}/services", service)
        about = {"kind": "LiveStream", "name": "launch", "namespace": namespace}
        event = {
            "metadata": {"name": "launch.1"},
            "involvedObject": about,
            "reason": "Provisioned",
            "message": "Children stand.",
            "type": "Normal",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
        api.ask("POST", f"/api/v1/namespaces/{namespace}/events", event)
        text = haat("describe", "stream", "launch").stdout
        for part in ("Launch night", "Standby (NoPublisher)", "12 (peak 40)", "No media arrives", "launch-fanout",
                     "Children stand.", "http://shop.example/hls"):  # fmt: skip
            assert part in text, part
        told = json.loads(haat("describe", "stream", "launch", "-o", "json").stdout)
        assert told["children"] == [{"kind": "Service", "name": "launch-fanout", "ready": "ok"}]

    def test_a_sale_says_what_comes_next(self, shop: Shop) -> None:
        _, haat = shop
        told = json.loads(haat("describe", "sale", "drop", "-o", "json").stdout)
        assert told["next"]["what"] == "capacity is made ready"
        assert told["next"]["at"] == "2035-01-01T09:45:00Z"


class TestChange:
    def test_a_sale_is_paused_resumed_and_cancelled(self, api: Cluster, shop: Shop) -> None:
        namespace, haat = shop
        for verb, state in (("pause", "Paused"), ("resume", "Scheduled"), ("cancel", "Cancelled")):
            result = haat("sale", verb, "drop")
            assert result.returncode == 0, result.stderr
            assert api.ask("GET", f"{base(namespace)}/flashsales/drop")["spec"]["state"] == state
        refused = haat("sale", "resume", "drop")
        assert refused.returncode == 1
        assert "a cancelled sale stays cancelled" in refused.stderr

    def test_end_asks_for_the_end_and_waits_for_it(self, api: Cluster, shop: Shop) -> None:
        namespace, haat = shop
        path = f"{base(namespace)}/livestreams/launch"

        def operator() -> None:
            while api.ask("GET", path)["spec"].get("desiredState") != "Ended":
                time.sleep(0.05)
            api.ask("PATCH", f"{path}/status", {"status": {"phase": "Ended"}}, media=MERGE)

        working = threading.Thread(target=operator)
        working.start()
        result = haat("end", "launch", "--timeout", "30")
        working.join()
        assert result.returncode == 0, result.stderr
        assert "has ended" in result.stdout

    def test_what_takes_too_long_is_code_4_and_says_what_waits(self, shop: Shop) -> None:
        _, haat = shop
        result = haat("wait", "stream", "launch", "--for", "phase=Live", "--timeout", "0.3")
        assert result.returncode == 4
        assert "is Standby, No media arrives from a publisher." in result.stderr
        assert haat("wait", "stream", "launch", "--for", "phase=Live,Standby").returncode == 0

    def test_go_live_prints_where_to_publish_and_to_watch(self, api: Cluster, shop: Shop) -> None:
        namespace, haat = shop
        path = f"{base(namespace)}/livestreams/encore"

        def operator() -> None:
            while not any(
                i["metadata"]["name"] == "encore" for i in api.ask("GET", f"{base(namespace)}/livestreams")["items"]
            ):
                time.sleep(0.05)
            values = {"stream-key": "k-1", "rtmp-url": "rtmp://shop.example:1935/live/k-1"}
            data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
            secret = {"metadata": {"name": "encore-stream-key"}, "data": data}
            api.ask("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
            status = {**STATUS, "keySecret": "encore-stream-key"}
            api.ask("PATCH", f"{path}/status", {"status": status}, media=MERGE)

        working = threading.Thread(target=operator)
        working.start()
        result = haat("go-live", "aarong", "--title", "Encore", "--name", "encore", "--timeout", "30")
        working.join()
        assert result.returncode == 0, result.stderr
        assert "rtmp://shop.example:1935/live/k-1" in result.stdout
        assert f"http://shop.example/s/{namespace}/encore" in result.stdout
        again = haat("go-live", "aarong", "--title", "Encore", "--name", "encore")
        assert again.returncode == 1
        assert "exists already" in again.stderr

    def test_the_api_refuses_and_its_reason_is_shown(self, shop: Shop) -> None:
        _, haat = shop
        result = haat("go-live", "aarong", "--title", "", "--no-wait")
        assert result.returncode == 1
        assert "spec.title" in result.stderr


class TestTop:
    def test_figures_of_all_streams_that_are_on(self, shop: Shop) -> None:
        namespace, haat = shop
        (row,) = json.loads(haat("top", "-o", "json").stdout)["items"]
        assert row == {
            "stream": f"{namespace}/launch", "phase": "Standby", "viewers": 12, "sockets": 15, "rooms": "1/2",
            "kbps": 0, "cpu": None,
        }  # fmt: skip

    def test_logs_of_a_stream_without_pods(self, shop: Shop) -> None:
        _, haat = shop
        result = haat("logs", "launch", "fanout")
        assert result.returncode == 1
        assert "has no fanout pods" in result.stderr


class TestErrors:
    def test_no_cluster(self, api: Cluster, tmp_path: Path) -> None:
        result = api("get", KUBECONFIG=str(tmp_path / "none"), HAAT_STATE_DIR=str(tmp_path), HOME=str(tmp_path))
        assert result.returncode == 1
        assert "make up" in result.stderr

    def test_a_cluster_that_does_not_answer(self, api: Cluster, tmp_path: Path) -> None:
        config = yaml.safe_load(api.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        result = api("get", "--kubeconfig", str(path))
        assert result.returncode == 1
        assert "does not answer" in result.stderr
        assert "Traceback" not in result.stderr

    def test_an_unknown_context_lists_the_known(self, api: Cluster) -> None:
        result = api("get", "--context", "production")
        assert result.returncode == 1
        assert "has no context production; it has:" in result.stderr

    def test_a_stranger(self, api: Cluster, tmp_path: Path) -> None:
        config = yaml.safe_load(api.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": "nobody"}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        result = api("get", "--kubeconfig", str(path))
        assert result.returncode == 1
        assert "does not know you" in result.stderr or "may not do that" in result.stderr


@pytest.mark.parametrize("output", ["text", "json"])
def test_doctor_finds_what_is_missing(api: Cluster, output: str) -> None:
    result = api("doctor", "--cluster", "-o", output)
    assert result.returncode == 1
    assert "no service of Haat runs there" in result.stdout
    assert "no operator leads" in result.stdout
    assert "livestreams.haat.dev" in result.stdout


def test_events_of_a_shop(api: Cluster, shop: Shop) -> None:
    namespace, haat = shop
    assert haat("events").stdout.strip() == "no events"
    about = {"kind": "FlashSale", "name": "drop", "namespace": namespace}
    body = {
        "metadata": {"name": "drop.1"},
        "involvedObject": about,
        "reason": "Armed",
        "message": "Ready.",
        "type": "Normal",
    }
    api.ask("POST", f"/api/v1/namespaces/{namespace}/events", body)
    assert "Armed" in haat("events").stdout
    assert "Armed" in haat("events", "sale", "drop").stdout
    assert haat("events", "stream", "launch").stdout.strip() == "no events"
