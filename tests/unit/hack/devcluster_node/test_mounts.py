"""Rewriting of mount paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.node.mounts import PathRewriter

REWRITER = PathRewriter({"/etc/haat": "/p/cfg", "/etc/haat/keys": "/p/keys", "/tmp": "/p/tmp", "/data/": "/p/data"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/etc/haat", "/p/cfg"),
        ("/etc/haat/stream.json", "/p/cfg/stream.json"),
        ("/etc/haat/keys/a", "/p/keys/a"),
        ("/etc/haat2", "/etc/haat2"),
        ("/etc/haat.d/x", "/etc/haat.d/x"),
        ("/etc/haat-old", "/etc/haat-old"),
        ("--config=/etc/haat/x", "--config=/p/cfg/x"),
        ("/tmp:/etc/haat", "/p/tmp:/p/cfg"),
        ("cat /etc/haat/x > /tmp/y", "cat /p/cfg/x > /p/tmp/y"),
        ('{"path": "/tmp/a"}', '{"path": "/p/tmp/a"}'),
        ("http://host/tmp/a", "http://host/tmp/a"),
        ("file:///tmp/a", "file:///p/tmp/a"),
        ("/var/tmp/a", "/var/tmp/a"),
        ("./tmp", "./tmp"),
        ("/data", "/p/data"),
    ],
)
def test_rewrite(text: str, wanted: str) -> None:
    assert REWRITER.text(text) == wanted


def test_result_is_not_rewritten_again() -> None:
    swap = PathRewriter({"/a": "/b", "/b": "/a"})
    assert swap.text("/a /b") == "/b /a"


def test_no_mounts() -> None:
    assert PathRewriter({}).text("/etc/haat") == "/etc/haat"


@given(st.text(alphabet="abc._-", min_size=1, max_size=8))
def test_every_file_below_a_mount_is_found(name: str) -> None:
    assert REWRITER.text(f"/etc/haat/{name}").startswith(("/p/cfg/", "/p/keys"))
