"""What is printed, for people and for programs; and what `haat` says to wrong arguments."""

import io
import json
import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from hack.cli import kube, listing, output
from hack.cli.commands import look, operate
from hack.cli.errors import Missing, TimedOut, UserError
from hack.cli.kinds import CHANNEL, SALE, STREAM, KindType
from hack.cli.main import main

TABLE = {
    "columnDefinitions": [{"name": "Name"}, {"name": "Phase"}, {"name": "URL", "priority": 1}],
    "rows": [{"cells": ["launch", "Live", None], "object": {"metadata": {"namespace": "shop"}}}],
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def haat(*arguments: str) -> "tuple[int, str]":
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        if command.hidden:
            continue
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


def test_wide_tables_show_every_column() -> None:
    assert listing.render(TABLE).splitlines()[0].split() == ["NAMESPACE", "NAME", "PHASE"]
    assert listing.render(TABLE, wide=True).splitlines()[0].split() == ["NAMESPACE", "NAME", "PHASE", "URL"]


def test_columns_line_up_in_colour_too() -> None:
    rows = [["NAME", "PHASE", "X"], ["a", "Live", "1"], ["longer", "Failed", "2"]]
    plain, painted = output.columns(rows), output.columns(rows, colours=True)
    assert re.sub(r"\033\[[0-9;]*m", "", painted) == plain
    assert painted != plain
    assert len({line.index(digit) for line, digit in zip(plain.splitlines()[1:], "12", strict=True)}) == 1


@pytest.mark.parametrize(
    ("terminal", "environment", "welcome"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours_on_a_terminal_only(
    terminal: bool, environment: dict[str, str], welcome: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert output.coloured(Terminal() if terminal else io.StringIO()) is welcome


def test_progress_moves_on_a_terminal_and_is_a_line_a_change_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    pipe, screen = io.StringIO(), Terminal()
    for stream in (pipe, screen):
        with output.Progress(stream) as progress:
            for text in ("Pending", "Pending", "Standby"):
                progress.show(text)
    assert pipe.getvalue() == "Pending\nStandby\n"
    assert screen.getvalue().count("\r") == 4
    assert screen.getvalue().endswith("\r\033[K")


def test_machine_formats_of_objects_and_lists() -> None:
    obj = {"apiVersion": "haat.dev/v1alpha1", "kind": "LiveStream", "metadata": {"name": "launch"}, "title": "হাট"}
    assert json.loads(output.document(obj, "json")) == obj
    assert yaml.safe_load(output.document(obj, "yaml")) == obj
    assert "হাট" in output.document(obj, "json")
    assert output.document(obj, "name") == "livestream.haat.dev/launch"
    assert output.document({"items": [obj, obj]}, "name").count("\n") == 1
    assert output.document({"items": []}, "name") == ""


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("stream", STREAM),
        ("LiveStreams", STREAM),
        ("lstream", STREAM),
        ("sale", SALE),
        ("fsale", SALE),
        ("ch", CHANNEL),
    ],
)
def test_kinds_by_all_their_names(word: str, kind: object) -> None:
    assert KindType().convert(word, None, None) is kind


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    code, text = haat(*path, "--help")
    assert code == 0
    assert "Usage:" in text
    if path[0] not in ("up", "down", "endpoints", "token", "auth-values"):
        assert f"haat {' '.join(path)}" in text, "an example is missing"
        assert "--context" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get", "pods"], "'pods' is no kind; give channels, streams or sales."),
        (["get", "all", "launch"], "name a kind before the names"),
        (["get", "streams", "-n", "shop", "-A"], "give -n or -A, not both."),
        (["get", "streams", "-o", "xml"], "is not one of"),
        (["describe", "stream"], "Missing argument 'NAME'"),
        (["go-live", "aarong"], "Missing option '--title'"),
        (["wait", "stream", "launch", "--for", "ready"], "give phase=NAME, condition=NAME[=STATUS] or deleted."),
        (["wait", "stream", "launch", "--for", "phase="], "give phase=NAME"),
        (["sale", "start", "drop", "--countdown", "-1"], "is not in the range"),
        (["logs", "launch", "edge"], "is not one of"),
        (["events", "stream"], "name the stream"),
        (["top", "--interval", "0"], "is not in the range"),
        (["sell"], "No such command"),
    ],
)
def test_wrong_usage_is_code_2_and_a_sentence(arguments: list[str], sentence: str) -> None:
    code, text = haat(*arguments)
    assert code == 2
    assert sentence in text.replace("\n", " ")


@pytest.mark.parametrize(("error", "code"), [(UserError("x"), 1), (Missing("x"), 3), (TimedOut("x"), 4)])
def test_exit_codes(error: UserError, code: int) -> None:
    assert error.code == code


def condition(name: str, status: str) -> dict[str, object]:
    return {"status": {"phase": "Standby", "conditions": [{"type": name, "status": status}]}}


@pytest.mark.parametrize(
    ("obj", "goal", "reached"),
    [
        (condition("Ready", "True"), "condition=Ready", True),
        (condition("Ready", "False"), "condition=Ready", False),
        (condition("Ready", "False"), "condition=Ready=False", True),
        (condition("Ready", "True"), "condition=Other", False),
        (condition("Ready", "True"), "phase=Live,Standby", True),
        (condition("Ready", "True"), "phase=Live", False),
        ({}, "phase=Live", False),
        (condition("Ready", "True"), "deleted", False),
    ],
)
def test_goals_of_wait(obj: dict[str, object], goal: str, reached: bool) -> None:
    assert look.met(obj, goal) is reached


@pytest.mark.parametrize(
    ("quantity", "cores"), [("250m", 0.25), ("2", 2.0), ("1200000n", 0.0012), ("15u", 0.000015), ("0", 0.0)]
)
def test_cpu_quantities(quantity: str, cores: float) -> None:
    assert operate.cores(quantity) == pytest.approx(cores)


def test_top_sums_the_pods_of_its_stream_only() -> None:
    stream = {"metadata": {"name": "launch", "namespace": "shop"}, "status": {"phase": "Live"}}
    usage = {
        ("shop", "launch-transcoder-1"): 0.5,
        ("shop", "launch-fanout-2"): 0.25,
        ("shop", "launch-two-fanout-1"): 4.0,
        ("bazaar", "launch-fanout-3"): 8.0,
    }
    assert operate.row(stream, usage)["cpu"] == 0.75
    assert operate.row(stream, {})["cpu"] is None


@pytest.mark.parametrize(
    ("status", "body", "part"),
    [
        (422, b'{"message": "spec.title: too short"}', "spec.title: too short"),
        (403, b'{"message": "no"}', "haat-edit"),
        (401, b"", "does not know you"),
        (502, b"<html>bad gateway</html>", "bad gateway"),
        (500, b"", "answered 500"),
        (500, b"[1]", "[1]"),
    ],
)
def test_refusals_keep_the_servers_words(status: int, body: bytes, part: str) -> None:
    assert part in str(kube.refusal(status, body))


class TestKubeconfig:
    def test_the_flag_comes_first_and_must_be_there(self, tmp_path: Path) -> None:
        file = tmp_path / "config"
        with pytest.raises(UserError, match="is not there"):
            kube.kubeconfig_path(file)
        file.touch()
        assert kube.kubeconfig_path(file) == file

    def test_then_the_environment_then_this_checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        named, own = tmp_path / "named", tmp_path / "own"
        monkeypatch.setattr(kube, "KUBECONFIG", own)
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'gone'}:{named}")
        own.touch()
        assert kube.kubeconfig_path(None) == own
        named.touch()
        assert kube.kubeconfig_path(None) == named

    def test_none_names_the_fix(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kube, "KUBECONFIG", tmp_path / "own")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        with pytest.raises(UserError, match="make up"):
            kube.kubeconfig_path(None)
