"""Command lines of ffmpeg: one encoder a source, and the publisher that all of them speak through.

What a tenant names as a source is opened with the protocols of its own scheme only: a playlist from the web must not
be able to read this pod's files.
"""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from workloads.playout.config import PlayoutSettings

WEB, DISK = "http,https,tcp,tls,crypto", "file,crypto"
FORBIDDEN = ("/etc/haat", "/proc", "/sys", "/dev", "/run", "/var/run")
PATIENCE_MICROSECONDS = 5_000_000
PICTURES = (".png", ".jpg", ".jpeg")


class SourceError(Exception):
    """The source cannot be opened as it is named; the text says why, without its query."""


def media(settings: PlayoutSettings, ffmpeg: str, uri: str, *, offset: float, silent: bool) -> list[str]:
    """A film or a live playlist from `offset` seconds on; `silent` is for one without sound."""
    begin = ["-ss", f"{offset:.3f}"] if offset > 0.5 else []
    sound = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"] if silent else []
    source = [*_opened(uri), *begin, "-re", "-i", _address(uri), *sound]
    return [*_head(ffmpeg), *source, *_encode(settings, audio="1:a:0" if silent else "0:a:0")]


def slate(settings: PlayoutSettings, ffmpeg: str, uri: str = "") -> list[str]:
    """The picture that fills gaps, for ever: the channel's own, or colour bars; always without sound."""
    sound = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
    if uri:
        loop = ["-loop", "1", "-framerate", str(settings.fps)] if _is_picture(uri) else ["-stream_loop", "-1"]
        picture = [*_opened(uri), *loop, "-re", "-i", _address(uri)]
    else:
        bars = f"smptebars=size={settings.width}x{settings.height}:rate={settings.fps}"
        picture = ["-re", "-f", "lavfi", "-i", bars]
    return [*_head(ffmpeg), *picture, *sound, *_encode(settings, audio="1:a:0")]


def publisher(ffmpeg: str, url: str) -> list[str]:
    """The one connection to the ingest, fed with the joint transport stream."""
    reading = ["-fflags", "+nobuffer", "-probesize", "500000", "-analyzeduration", "1000000"]
    writing = ["-c", "copy", "-max_interleave_delta", "500000", "-flvflags", "no_duration_filesize"]
    return [*_head(ffmpeg), *reading, "-f", "mpegts", "-i", "pipe:0", *writing, "-f", "flv", url]


def _head(ffmpeg: str) -> list[str]:
    return [ffmpeg, "-hide_banner", "-nostats", "-loglevel", "error", "-y"]


def _opened(uri: str) -> list[str]:
    """Options in front of an input; SourceError for one that is not opened at all."""
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        patience = str(PATIENCE_MICROSECONDS)
        return ["-protocol_whitelist", WEB, "-rw_timeout", patience, "-reconnect", "1", "-reconnect_delay_max", "1"]
    if scheme == "file":
        path = PurePosixPath(unquote(urlsplit(uri).path))
        if ".." in path.parts or any(path.is_relative_to(place) for place in FORBIDDEN):
            raise SourceError(f"{path} is not for showing")
        return ["-protocol_whitelist", DISK]
    raise SourceError(f"{scheme or 'a name without scheme'} is not supported; give http, https or file")


def _address(uri: str) -> str:
    """What ffmpeg is told; the path of a file, because its own file protocol decodes nothing."""
    return f"file:{unquote(urlsplit(uri).path)}" if uri.startswith("file:") else uri


def _is_picture(uri: str) -> bool:
    return uri.startswith("file:") and urlsplit(uri).path.lower().endswith(PICTURES)


def _encode(settings: PlayoutSettings, *, audio: str) -> list[str]:
    """The uniform output: H.264 main and AAC stereo, one frame a PES packet."""
    width, height, fps = settings.width, settings.height, settings.fps
    picture = (
        f"fps={fps},scale={width}:{height}:force_original_aspect_ratio=decrease,"
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p"
    )
    rate = f"{settings.video_kbps}k"
    gop = str(2 * fps)
    return [
        *("-map", "0:v:0", "-map", audio, "-sn", "-dn", "-map_metadata", "-1"),
        *("-vf", picture, "-af", "aresample=48000:async=1:first_pts=0,apad", "-shortest"),
        *("-c:v", "libx264", "-preset", settings.x264_preset, "-tune", "zerolatency", "-profile:v", "main"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-bf", "0"),
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0"),
        *("-c:a", "aac", "-b:a", f"{settings.audio_kbps}k", "-ar", "48000", "-ac", "2"),
        *("-f", "mpegts", "-muxdelay", "0", "-muxpreload", "0", "-pes_payload_size", "0", "-flush_packets", "1"),
        "pipe:1",
    ]
