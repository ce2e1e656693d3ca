"""The encoder's command line: one ffmpeg for the whole ladder; free of IO.

Each rendition leaves on a pipe of its own as fragmented MP4, one fragment per frame. The traps: `frag_discont` and
`avoid_negative_ts disabled` keep the media time of all renditions on one clock (each muxer would else begin at zero,
and sound would run ahead of the picture by the encoder's priming); frame threads in the decoder would add a frame of
delay each; scaling in a cascade costs less than scaling each rung from the source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workloads.transcoder.config import Ladder
from workloads.transcoder.ladder import EncodedRung

AUDIO = "audio"
VIDEO_TIMESCALE = 90_000
AUDIO_RATE = 48_000
_MOVFLAGS = "empty_moov+default_base_moof+frag_every_frame+frag_discont+skip_trailer+skip_sidx+negative_cts_offsets"
_THREADED_SHORT_SIDE = 1080


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """One encoder run. `offset_seconds` is the media time of the first frame."""

    rungs: tuple[EncodedRung, ...]
    audio: bool
    ladder: Ladder
    offset_seconds: float
    preset: str

    @property
    def names(self) -> tuple[str, ...]:
        """Renditions that the run makes."""
        return (*(rung.name for rung in self.rungs), *((AUDIO,) if self.audio else ()))

    @property
    def first_cut_seconds(self) -> float:
        """Length of the first segment: half of the others, so that a player can start sooner."""
        gop, cut = self.ladder.gop_seconds, self.ladder.cut_seconds
        if gop >= cut:
            return cut / 2
        return max(1, round(cut / 2 / gop)) * gop


def build(ffmpeg: str, plan: EncodePlan, pipes: Mapping[str, int]) -> list[str]:
    """The argument list; `pipes` maps each rendition to the file descriptor that it is written to."""
    arguments = [ffmpeg, "-hide_banner", "-nostats", "-loglevel", "warning"]
    arguments += ["-threads", "1", "-flags", "low_delay", "-analyzeduration", "1000000", "-f", "flv", "-i", "pipe:0"]
    if plan.rungs:
        arguments += ["-filter_complex_threads", "1", "-filter_complex", filter_graph(plan.rungs)]
    for index, rung in enumerate(plan.rungs):
        arguments += _video(plan, rung, index) + _output(plan, pipes[rung.name])
    if plan.audio:
        arguments += _audio(plan) + _output(plan, pipes[AUDIO])
    return arguments


def filter_graph(rungs: Sequence[EncodedRung]) -> str:
    """Each rung scaled from the one above it; outputs are labelled v0, v1, …"""
    steps = []
    feed = "[0:v:0]"
    for index, rung in enumerate(rungs):
        last = index == len(rungs) - 1
        filters = [f"fps={rung.fps:g}"] if rung.fps and index == 0 else []
        if rung.scaled or index:
            filters.append(f"scale={rung.width}:{rung.height}:flags=bilinear")
        filters += ["setsar=1", "format=yuv420p"]
        if not last:
            filters.append("split=2")
        steps.append(f"{feed}{','.join(filters)}[v{index}]" + ("" if last else f"[s{index}]"))
        feed = f"[s{index}]"
    return ";".join(steps)


def keyframes(plan: EncodePlan) -> str:
    """ffmpeg expression that is true where a key frame is due: one at each cut, aligned over all rungs."""
    gop = plan.ladder.gop_seconds
    if gop < plan.ladder.cut_seconds:
        return f"expr:gte(t,n_forced*{gop:g})"
    first = plan.first_cut_seconds
    return f"expr:if(lt(n_forced,2),gte(t,n_forced*{first:g}),gte(t,(n_forced-1)*{gop:g}))"


def _video(plan: EncodePlan, rung: EncodedRung, index: int) -> list[str]:
    threads = 2 if min(rung.width, rung.height) >= _THREADED_SHORT_SIDE else 1
    return [
        *("-map", f"[v{index}]", "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", plan.preset, "-tune", "zerolatency", "-profile:v", "high"),
        *("-b:v", f"{rung.video_kbps}k", "-maxrate", f"{rung.video_kbps}k", "-bufsize", f"{rung.video_kbps}k"),
        *("-force_key_frames", keyframes(plan), "-forced-idr", "1", "-g", "9999"),
        *("-x264-params", f"scenecut=0:threads={threads}", "-video_track_timescale", str(VIDEO_TIMESCALE)),
    ]


def _audio(plan: EncodePlan) -> list[str]:
    return [
        *("-map", "0:a:0", "-af", "aresample=async=1000", "-c:a", "aac", "-b:a", f"{plan.ladder.audio_kbps}k"),
        *("-ar", str(AUDIO_RATE), "-ac", "2"),
    ]


def _output(plan: EncodePlan, descriptor: int) -> list[str]:
    return [
        *("-f", "mp4", "-movflags", _MOVFLAGS, "-use_editlist", "0", "-flush_packets", "1"),
        *("-avoid_negative_ts", "disabled", "-output_ts_offset", f"{plan.offset_seconds:.6f}"),
        f"pipe:{descriptor}",
    ]
