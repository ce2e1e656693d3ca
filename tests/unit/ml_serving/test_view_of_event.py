"""What an event on the stream means for the features; hostile ones are refused with a reason."""

import json

import pytest

from ml_serving.features.definitions import DAY_MS, View
from ml_serving.features.events import view_of
from workloads.common.events import new_event

NOW = 1_800_000_000_000


def fields(**changes: str) -> dict[str, str]:
    base = {
        "id": "e1",
        "version": "1",
        "kind": "product.view",
        "stream": "shop/launch",
        "user": "u1",
        "ts_ms": str(NOW),
        "data": json.dumps({"sku": "SAREE"}),
    }
    return base | changes


def test_the_writers_event_is_understood() -> None:
    event = new_event("product.view", stream="shop/launch", user="u1", data={"sku": "SAREE"})
    view = view_of(event, now_ms=int(event["ts_ms"]), keep_days=14)
    assert view == View(id=event["id"], stream="shop/launch", user="u1", sku="SAREE", ts_ms=int(event["ts_ms"]))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(fields(kind="chat.message"), id="another kind"),
        pytest.param({}, id="no kind at all"),
        pytest.param(fields(ts_ms=str(NOW - 15 * DAY_MS)), id="older than the buckets"),
    ],
)
def test_not_wanted(event: dict[str, str]) -> None:
    assert view_of(event, now_ms=NOW, keep_days=14) is None


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(fields(data="{"), "data", id="data is not JSON"),
        pytest.param(fields(data="[1]"), "data", id="data is no object"),
        pytest.param(fields(data="{}"), "sku", id="no product"),
        pytest.param(fields(data=json.dumps({"sku": ["A"]})), "sku", id="a list for a product"),
        pytest.param(fields(data=json.dumps({"sku": "x" * 65})), "sku", id="a long name"),
        pytest.param(fields(data="[" * 100_000), "data", id="deeply nested"),
        pytest.param(fields(ts_ms="soon"), "ts_ms", id="time is no number"),
        pytest.param(fields(ts_ms=str(NOW + DAY_MS)), "future", id="tomorrow"),
        pytest.param(fields(user=""), "user", id="nobody"),
        pytest.param(fields(stream="a}{b/c"), "stream", id="braces would break the hash tag"),
    ],
)
def test_malformed(event: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        view_of(event, now_ms=NOW, keep_days=14)
