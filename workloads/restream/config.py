"""Settings of the restream pod: the stream's manifest, and a folder with one file a target."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from workloads.common.settings import Settings


class RestreamSettings(Settings):
    """Environment of restream, beside what every container has."""

    targets_dir: Path = Path("/etc/haat/targets")
    ffmpeg: str = Field("", description="Path of ffmpeg; default: the wheel's.")


class StreamSpec(BaseModel):
    """`stream.json`, as far as it is needed here."""

    model_config = ConfigDict(extra="ignore")

    stream: str


def targets(folder: Path) -> dict[str, str]:
    """Name -> publish URL, for each file that holds one; a mounted Secret that is missing is a missing file."""
    found = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name.startswith(".") or not file.is_file():
            continue
        text = file.read_text(errors="replace").strip()
        if text:
            found[file.name] = text
    return found
