"""Choosing ports, checking the machine, and what a person is told when something is wrong."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import bootstrap
from hack.cli import keys, ports, up
from hack.cli.errors import UserError
from hack.cli.listing import render
from workloads.common.tokens import Verifier


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_ports_are_free_different_and_remembered(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    first = ports.choose(memory, {})
    assert len({first.http, first.rtmp, first.api}) == 3
    assert ports.choose(memory, {}) == first


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path, taken: int) -> None:
    memory = tmp_path / "ports.json"
    memory.write_text(json.dumps({"http": taken}))
    assert ports.choose(memory, {}).http != taken


def test_a_taken_port_is_one_sentence_with_the_fix(tmp_path: Path, taken: int) -> None:
    with pytest.raises(UserError, match=rf"port {taken} is taken by another program; .*HAAT_PORT"):
        ports.choose(tmp_path / "ports.json", {"HAAT_PORT": str(taken)})


@pytest.mark.parametrize("text", ["http", "0", "70000", "-1"])
def test_what_is_no_port(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"HAAT_PORT=.* is not a port"):
        ports.choose(tmp_path / "ports.json", {"HAAT_PORT": text})


@pytest.mark.parametrize("content", ["", "x", "[]", '{"http": "y"}'])
def test_a_broken_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    memory = tmp_path / "ports.json"
    memory.write_text(content)
    assert ports.choose(memory, {}).http


def test_an_old_python_is_told_what_to_do() -> None:
    with pytest.raises(bootstrap.SetupError, match=r"Python 3\.11 or later is needed, this is 3\.9"):
        bootstrap.check_python((3, 9))


def test_a_full_disk_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.SetupError, match="GiB are needed; free some space"):
        bootstrap.check_disk(tmp_path, 10**9)


def test_a_second_up_in_a_checkout_names_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "up.lock"
    with up.only_one(lock), pytest.raises(UserError, match=r"is up already \(process \d+\)"), up.only_one(lock):
        pass
    with up.only_one(lock):
        assert lock.read_text().isdigit()


def test_two_states_get_addresses_of_their_own() -> None:
    ranges = {up.service_cidr(Path(f"/home/someone/haat-{number}")) for number in range(40)}
    assert len(ranges) > 30
    assert all(96 <= int(text.split(".")[1]) <= 127 for text in ranges)


def test_the_signing_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    first = keys.auth_values(file)
    assert keys.auth_values(file) == first
    assert file.stat().st_mode & 0o077 == 0
    token = keys.token(file, name="Host", role="host", streams=["shop/launch"], hours=1)
    assert Verifier(first["jwks"]).verify(token).is_host_of("shop/launch")


def test_a_table_shows_plain_columns_only() -> None:
    document = {
        "columnDefinitions": [{"name": "Name"}, {"name": "Phase"}, {"name": "URL", "priority": 1}],
        "rows": [{"cells": ["launch", "Live", "http://x"], "object": {"metadata": {"namespace": "shop"}}}],
    }
    lines = render(document).splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "PHASE"]
    assert lines[1].split() == ["shop", "launch", "Live"]
