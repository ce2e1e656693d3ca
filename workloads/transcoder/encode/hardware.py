"""Which encoder makes the renditions: x264 on the CPU, or NVENC, VA-API or Quick Sync; free of IO but for `probe`.

Drivers are often half there (a device without its library, a library without its device), so an encoder is proven with
a few frames before it is used: else every publisher would be refused with an error that only ffmpeg's log explains.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

PROBE_SECONDS = 20.0
VAAPI_DEVICE = "/dev/dri/renderD128"
_ALIASES = {"x264": "cpu", "libx264": "cpu", "nvidia": "nvenc"}


class EncoderUnavailable(Exception):
    """The wanted encoder cannot be used here; the message says why."""


class Hardware(StrEnum):
    """Values of `HAAT_ENCODER`."""

    CPU = "cpu"
    NVENC = "nvenc"
    VAAPI = "vaapi"
    QSV = "qsv"


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of encoder is asked for. `presets` maps x264's preset names to its own, fastest first."""

    codec: str
    presets: dict[str, str]
    options: tuple[str, ...]
    device: tuple[str, ...] = ()
    upload: str = ""


_X264 = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_NVENC = ("p1", "p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7", "p7")
_QSV = ("veryfast", "veryfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "veryslow")
_VAAPI = ("7", "7", "6", "5", "4", "4", "3", "2", "1", "1")

FAMILIES = {
    Hardware.CPU: Family("libx264", {name: name for name in _X264}, ("-tune", "zerolatency", "-forced-idr", "1")),
    Hardware.NVENC: Family(
        "h264_nvenc",
        dict(zip(_X264, _NVENC, strict=True)),
        ("-tune", "ull", "-rc", "cbr", "-zerolatency", "1", "-delay", "0", "-bf", "0", "-forced-idr", "1"),
    ),
    Hardware.VAAPI: Family(
        "h264_vaapi",
        dict(zip(_X264, _VAAPI, strict=True)),
        ("-rc_mode", "CBR", "-async_depth", "1", "-bf", "0", "-idr_interval", "0"),
        device=("-vaapi_device", VAAPI_DEVICE),
        upload="format=nv12,hwupload",
    ),
    Hardware.QSV: Family(
        "h264_qsv",
        dict(zip(_X264, _QSV, strict=True)),
        ("-async_depth", "1", "-bf", "0", "-forced_idr", "1", "-low_delay_brc", "1"),
        device=("-init_hw_device", "qsv=hw", "-filter_hw_device", "hw"),
        upload="format=nv12,hwupload=extra_hw_frames=16",
    ),
}
_PRESET_OPTION = {Hardware.VAAPI: "-compression_level"}


def parse(value: str) -> Hardware | None:
    """The encoder that `HAAT_ENCODER` names, None for an empty one; EncoderUnavailable for an unknown one."""
    name = value.strip().lower()
    if not name:
        return None
    try:
        return Hardware(_ALIASES.get(name, name))
    except ValueError:
        known = ", ".join((*Hardware, *_ALIASES))
        raise EncoderUnavailable(f"HAAT_ENCODER is {value!r}; it may be one of {known}") from None


def coding(hardware: Hardware, preset: str) -> list[str]:
    """Codec, preset and what keeps its latency low; an x264 preset's name is translated."""
    family = FAMILIES[hardware]
    option = _PRESET_OPTION.get(hardware, "-preset")
    return ["-c:v", family.codec, option, family.presets.get(preset, preset), *family.options]


def probe_command(ffmpeg: str, hardware: Hardware) -> list[str]:
    """ffmpeg that encodes a few frames to nowhere."""
    family = FAMILIES[hardware]
    filters = f"format=yuv420p{',' + family.upload if family.upload else ''}"
    source = ["-f", "lavfi", "-i", "color=size=640x360:rate=25:duration=0.2", "-vf", filters]
    arguments = [ffmpeg, "-hide_banner", "-v", "error", *family.device, *source]
    return [*arguments, *coding(hardware, "superfast"), "-b:v", "500k", "-f", "null", "-"]


def probe(ffmpeg: str, hardware: Hardware) -> None:
    """Encode a few frames; EncoderUnavailable with ffmpeg's words when that fails. Blocks: for the start only."""
    try:
        result = subprocess.run(
            probe_command(ffmpeg, hardware), capture_output=True, timeout=PROBE_SECONDS, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EncoderUnavailable(f"the encoder {hardware} cannot be tried: {error}") from error
    if result.returncode:
        words = " | ".join(result.stderr.strip().splitlines()[:3])
        raise EncoderUnavailable(f"HAAT_ENCODER is {hardware}, which does not work here: {words}")


def choose(ffmpeg: str, wanted: Hardware | None, candidates: Sequence[Hardware]) -> Hardware:
    """The wanted encoder if it works, else an error; without a wish the first candidate that works, else the CPU."""
    if wanted is not None:
        probe(ffmpeg, wanted)
        return wanted
    for candidate in candidates:
        try:
            probe(ffmpeg, candidate)
        except EncoderUnavailable:
            continue
        return candidate
    return Hardware.CPU
