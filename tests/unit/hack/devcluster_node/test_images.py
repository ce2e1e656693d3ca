"""The image table and its shims."""

from pathlib import Path

import pytest

from hack.devcluster.images.postgres import SetupError, quote_identifier, read_settings
from hack.devcluster.images.redis_cli import encode, parse
from hack.devcluster.images.table import (
    TABLE,
    CommandError,
    ImageError,
    default_table,
    postgres_command,
    redis_command,
    repository,
)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("redis", "redis"),
        ("docker.io/library/redis:7.2-alpine", "redis"),
        ("haat/edge:dev@sha256:abc", "haat/edge"),
        ("localhost:5000/haat/edge", "localhost:5000/haat/edge"),
    ],
)
def test_repository(image: str, name: str) -> None:
    assert repository(image) == name


def test_unknown_image_names_the_table(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=TABLE):
        default_table(tmp_path, tmp_path).find("nginx:1")


@pytest.mark.parametrize(
    "image", ["haat/edge:1", "ghcr.io/x/haat/edge", "valkey/valkey:8", "postgres:17", "registry.k8s.io/pause:3"]
)
def test_known_images(image: str, tmp_path: Path) -> None:
    assert default_table(tmp_path, tmp_path).find(image).names


def test_own_images_have_no_default_command(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        default_table(tmp_path, tmp_path).find("haat/edge").resolve([], [], "127.64.0.9")


@pytest.mark.parametrize(
    ("command", "args", "wanted"),
    [
        ([], [], "redis-server --bind IP"),
        ([], ["--save", ""], "redis-server --save  --bind IP"),
        (["redis-server"], ["/c.conf"], "redis-server /c.conf --bind IP"),
        (["redis-server", "--bind", "0.0.0.0", "::", "--port", "1"], [], "redis-server --bind IP --port 1"),
        (["redis-server", "--bind", "10.0.0.1"], [], "redis-server --bind 10.0.0.1"),
        (["redis-cli", "ping"], [], "redis-cli ping"),
        (["valkey-server"], [], "redis-server --bind IP"),
    ],
)
def test_redis_listens_on_the_pod(command: list[str], args: list[str], wanted: str) -> None:
    assert " ".join(redis_command(command, args, "IP")) == wanted


@pytest.mark.parametrize(
    ("command", "args", "wanted"),
    [
        ([], [], "py -m hack.devcluster.images.postgres"),
        ([], ["-c", "a=1"], "py -m hack.devcluster.images.postgres -c a=1"),
        (["docker-entrypoint.sh"], ["postgres"], "py -m hack.devcluster.images.postgres"),
        (["psql", "-l"], [], "psql -l"),
    ],
)
def test_postgres_entry_point(command: list[str], args: list[str], wanted: str) -> None:
    assert " ".join(postgres_command(command, args, python="py")) == wanted


def test_postgres_settings(tmp_path: Path) -> None:
    secret = tmp_path / "pw"
    secret.write_text("x\n")
    found = read_settings({"POSTGRES_USER": "haat", "POSTGRES_PASSWORD_FILE": str(secret)})
    assert (found.user, found.password, found.database) == ("haat", "x", "haat")
    with pytest.raises(SetupError, match="POSTGRES_PASSWORD_FILE"):
        read_settings({"POSTGRES_PASSWORD": "a", "POSTGRES_PASSWORD_FILE": str(secret)})
    assert quote_identifier('a"b') == '"a""b"'


def test_redis_cli_goes_to_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAAT_POD_ADDRESS", "127.64.0.9")
    assert parse(["-h", "localhost", "-p", "7", "-a", "pw", "get", "k"]) == ("127.64.0.9", 7, "pw", ["get", "k"])
    assert parse([])[3] == ["PING"]
    assert encode(["GET", "é"]) == b"*2\r\n$3\r\nGET\r\n$2\r\n\xc3\xa9\r\n"
