"""What a worker hosts by what it reads."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.transcoder.pool.allocations import MISSING_SECONDS, Allocation, Changes, Table, parse

POD, OTHER = "pool-default-a", "pool-default-b"
KEY = "0" * 64
RUNG = {"name": "480p", "width": 854, "height": 480, "fps": 30, "video_kbps": 1200}


def body(stream: str = "shop/a", **changes: Any) -> dict[str, Any]:
    spec = {"stream": stream, "ladder": {"rungs": [RUNG]}}
    return {"pool": "default", "worker": POD, "units": 1, "uid": "u", "keys": [KEY], "spec": spec} | changes


def allocation(stream: str = "shop/a", **changes: Any) -> Allocation:
    found = parse(stream, json.dumps(body(stream, **changes)))
    assert found is not None
    return found


@pytest.fixture
def table() -> Table:
    table = Table(POD)
    assert table.read({"shop/a": allocation()}, 0.0) == Changes(host=(allocation(),))
    return table


def test_what_is_allocated_elsewhere_is_not_hosted() -> None:
    table = Table(POD)
    assert table.read({"shop/a": allocation(worker=OTHER), "shop/b": None}, 0.0) == Changes()
    assert table.held == {}


def test_a_read_that_says_the_same_changes_nothing(table: Table) -> None:
    assert table.read({"shop/a": allocation()}, 1.0) == Changes()


@pytest.mark.parametrize("changes", [{"keys": ["1" * 64]}, {"units": 4}, {"spec": body()["spec"] | {"title": "Eid"}}])
def test_new_keys_units_and_specs_are_taken_over(table: Table, changes: dict[str, Any]) -> None:
    new = allocation(**changes)
    assert table.read({"shop/a": new}, 1.0) == Changes(update=(new,))
    assert table.held == {"shop/a": new}


def test_another_worker_s_stream_moves_away_at_once(table: Table) -> None:
    elsewhere = allocation(worker=OTHER)
    assert table.read({"shop/a": elsewhere}, 1.0) == Changes(moved=(elsewhere,))
    assert table.held == {}


@pytest.mark.parametrize("worker", [POD, OTHER])
def test_another_uid_is_another_stream(table: Table, worker: str) -> None:
    new = allocation(uid="v", worker=worker)
    assert table.read({"shop/a": new}, 1.0) == Changes(gone=("shop/a",), host=(new,) if worker == POD else ())


def test_a_missing_stream_is_kept_for_a_while_of_successful_reads(table: Table) -> None:
    assert table.read({"shop/a": None}, 100.0) == Changes()
    assert table.read({"shop/a": None}, 100.0 + MISSING_SECONDS - 0.1) == Changes()
    assert table.read({"shop/a": None}, 100.0 + MISSING_SECONDS) == Changes(gone=("shop/a",))


def test_the_waiting_starts_again_after_a_sighting_and_after_an_outage(table: Table) -> None:
    table.read({"shop/a": None}, 0.0)
    table.read({"shop/a": allocation()}, 10.0)
    assert table.read({"shop/a": None}, 20.0) == Changes()
    table.failed()
    assert table.read({"shop/a": None}, 60.0) == Changes()
    assert table.read({"shop/a": None}, 60.0 + MISSING_SECONDS) == Changes(gone=("shop/a",))


def test_what_was_not_looked_at_stays(table: Table) -> None:
    assert table.read({}, 1000.0) == Changes()
    assert set(table.held) == {"shop/a"}


ENTRIES = st.none() | st.builds(
    lambda worker, uid, units: {"worker": worker, "uid": uid, "units": units},
    st.sampled_from([POD, OTHER]), st.sampled_from("uv"), st.integers(1, 2),
)  # fmt: skip
READS = st.lists(
    st.tuples(st.floats(0, 20), st.none() | st.dictionaries(st.sampled_from(["shop/a", "shop/b"]), ENTRIES)),
    max_size=20,
)


@given(READS)
def test_changes_always_lead_from_what_was_hosted_to_what_is(reads: list[tuple[float, dict[str, Any] | None]]) -> None:
    """A worker that carries the changes out hosts exactly the table, and nothing without a reason that was read."""
    table, hosted, now = Table(POD), dict[str, Allocation](), 0.0
    for seconds, entries in reads:
        now += seconds
        if entries is None:
            table.failed()
            continue
        seen = {stream: allocation(stream, **entry) if entry else None for stream, entry in entries.items()}
        before, changes = dict(hosted), table.read(seen, now)
        for stream in (*(item.stream for item in changes.moved), *changes.gone):
            del hosted[stream]
        for item in changes.host:
            assert item.stream not in hosted
            hosted[item.stream] = item
        for item in changes.update:
            assert hosted[item.stream].uid == item.uid
            hosted[item.stream] = item
        assert hosted == table.held
        for stream, found in seen.items():
            if found is not None:
                assert (hosted.get(stream) == found) == (found.worker == POD)
        assert {name: item for name, item in hosted.items() if name not in seen} == {
            name: item for name, item in before.items() if name not in seen
        }


@pytest.mark.parametrize(
    "changes",
    [
        {"worker": None}, {"units": 0}, {"uid": 5}, {"keys": ["short"]}, {"keys": [KEY.upper() + "G"]}, {"spec": {}},
        {"spec": {"stream": "shop/a", "ladder": {"rungs": []}}}, {"spec": {"stream": "shop/b", "ladder": {"rungs": [RUNG]}}},
    ],
)  # fmt: skip
def test_an_unusable_entry_is_none(changes: dict[str, Any]) -> None:
    assert parse("shop/a", json.dumps(body(**changes))) is None


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)).map(json.dumps))
def test_rubbish_is_none_and_never_an_error(raw: str) -> None:
    assert parse("shop/a", raw) is None
