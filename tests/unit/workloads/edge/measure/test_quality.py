"""What players tell: CMCD read from queries and headers, and beacons rolled up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from workloads.edge.measure import cmcd, quality
from workloads.edge.measure.cmcd import Report
from workloads.edge.measure.quality import Beacon, Quality, summary


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("", {}, None),
        ("token=x", {"user-agent": "y"}, None),
        (
            "CMCD=bl%3D2100%2Cbr%3D1400%2Cbs%2Cmtp%3D25400%2Csid%3D%226e2fb550%22%2Csu",
            {},
            Report("6e2fb550", 1400, 25400, 2100, starved=True, startup=True),
        ),
        ("", {"cmcd-object": "br=3200,ot=v", "cmcd-session": 'sid="a,b"', "cmcd-status": "bs"}, Report("a,b", 3200, starved=True)),
        ("CMCD=br%3Dx,bl%3D-5,mtp%3D99999999999999", {}, Report()),
        ("CMCD=%3D%3D%2C", {}, Report()),
        ("CMCD=br%3D99999999999", {}, Report(bitrate_kbps=1_000_000)),
    ],
)  # fmt: skip
def test_cmcd(query: str, headers: dict[str, str], expected: Report | None) -> None:
    assert cmcd.read(query, headers) == expected


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(cmcd.parse(text), dict)
    cmcd.read(f"CMCD={text}", {"cmcd-object": text})


def test_a_roll_up() -> None:
    told = [
        Beacon("a", startup_ms=100, watched_ms=9000, bitrate_kbps=1000),
        Beacon("b", startup_ms=300, watched_ms=9000, stalls=2, stall_ms=2000, bitrate_kbps=2000, errors=1),
        Beacon("a", watched_ms=0, fatal=1),
    ]
    found = summary([(0.0, item) for item in told], 5.0)
    assert (found["players"], found["startup_p50_ms"], found["startup_p95_ms"]) == (2, 300, 300)
    assert (found["stall_ratio"], found["stalls"], found["bitrate_kbps"]) == (0.1, 2, 1500)
    assert (found["errors"], found["fatal"]) == (1, 1)
    assert summary([], 5.0)["stall_ratio"] == -1


def test_made_up_streams_share_one_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MAX_STREAMS", 2)
    registry = CollectorRegistry()
    made = Quality(Redis(), "pod", registry)
    for name in ("a/1", "a/2", "a/3", "a/4", "a/1"):
        made.beacon(name, Beacon(stalls=1))
    values = {
        name: registry.get_sample_value("haat_qoe_stalls_total", {"stream": name}) for name in ("a/1", "a/3", "others")
    }
    assert values == {"a/1": 2, "a/3": None, "others": 2}
