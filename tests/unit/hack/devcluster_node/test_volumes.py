"""Volume folders, logs and addresses on a real file system."""

import os
from pathlib import Path
from typing import Any

import pytest

from hack.devcluster.node.addresses import AddressPool, node_address, slice_order
from hack.devcluster.node.logs import LogFile, LogQuery, read_log
from hack.devcluster.node.volumes import MountError, VolumeSources, mount_table, volume_folder, write_payload

MAPS: dict[str, Any] = {"cm": {"data": {"a": "1", "b": "2"}}}
POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "n", "labels": {"x": "y"}}, "spec": {}}


def sources(claim: Path | None = None) -> VolumeSources:
    return VolumeSources(
        config_map=MAPS.get, secret={}.get, claim_folder=lambda _: claim, token=lambda _: b"t", capacity={}
    )


def test_swap_replaces_all_files_at_once(tmp_path: Path) -> None:
    assert write_payload(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    first = os.readlink(tmp_path / "..data")
    assert not write_payload(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    assert write_payload(tmp_path, {"a": (b"3", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / "d").exists()
    assert os.readlink(tmp_path / "..data") != first
    assert not (tmp_path / first).exists()


def test_items_and_modes(tmp_path: Path) -> None:
    volume = {"name": "v", "configMap": {"name": "cm", "items": [{"key": "a", "path": "x/y", "mode": 0o400}]}}
    folder = volume_folder(POD, volume, tmp_path, sources())
    assert (folder / "x/y").read_text() == "1"
    assert (folder / "x/y").stat().st_mode & 0o777 == 0o400
    assert not (folder / "b").exists()


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, "not found"),
        ({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}, "non-existent key"),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../z"}]}}, "must be relative"),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "not bound"),
        ({"nfs": {}}, "not supported"),
    ],
)
def test_what_cannot_be_mounted(volume: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(MountError, match=message):
        volume_folder(POD, {"name": "v", **volume}, tmp_path, sources())


def test_optional_and_projected(tmp_path: Path) -> None:
    volume = {
        "name": "v",
        "projected": {
            "sources": [
                {"configMap": {"name": "none", "optional": True}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"serviceAccountToken": {"path": "token"}},
            ]
        },
    }
    folder = volume_folder(POD, volume, tmp_path, sources())
    assert (folder / "labels").read_text() == 'x="y"'
    assert (folder / "token").read_text() == "t"


def test_sub_path(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "v", "mountPath": "/data", "subPathExpr": "$(NAME)/x"}]}
    table = mount_table(container, {"v": tmp_path}, {"NAME": "n"})
    assert table == {"/data": str(tmp_path / "n" / "x")}
    assert (tmp_path / "n" / "x").is_dir()


async def collect(log: LogFile, **options: Any) -> str:
    blocks = [block async for block in read_log(log, LogQuery(**options), still_open=lambda: False)]
    return b"".join(blocks).decode()


async def test_log_options(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "c" / "0.log")
    descriptor = log.open()
    for moment, text in ((10.0, b"one\ntwo\n"), (20.0, b"three\nfo"), (30.0, b"ur")):
        os.write(descriptor, text)
        log.note(moment)
    os.close(descriptor)
    assert await collect(log) == "one\ntwo\nthree\nfour"
    assert await collect(log, tail_lines=2) == "three\nfour"
    assert await collect(log, tail_lines=0) == ""
    assert await collect(log, since=15.0) == "three\nfour"
    assert await collect(log, limit_bytes=5) == "one\nt"
    stamped = (await collect(log, timestamps=True)).splitlines()
    assert stamped[1] == "1970-01-01T00:00:10.000000Z two"
    assert stamped[2] == "1970-01-01T00:00:20.000000Z three"


def test_addresses() -> None:
    pool = AddressPool(3)
    first = pool.acquire("a")
    assert pool.acquire("a") == first
    assert pool.acquire("b", preferred=first) != first
    pool.release("a")
    assert pool.acquire("c") != first, "a freed address rests"
    assert pool.acquire("d", preferred=first) == first
    assert pool.acquire("e", preferred="127.0.0.1") != "127.0.0.1"


def test_slices_differ_and_stay_out_of_the_service_range() -> None:
    order = list(slice_order("/a"))
    assert len(set(order)) == len(order)
    assert all(node_address(number).split(".")[1] in {str(i) for i in range(64, 96)} for number in order)
    assert next(slice_order("/a")) != next(slice_order("/b"))
