"""The encoder's command line: one ffmpeg for the whole ladder; free of IO.

Each rendition leaves on a pipe of its own as fragmented MP4, one fragment per frame. The traps: `copyts`,
`frag_discont` and `avoid_negative_ts disabled` keep the media time of all renditions on one clock (each muxer would
else begin at zero, and sound would run ahead of the picture by the encoder's priming); frame threads in the decoder
would add a frame of delay each; scaling in a cascade costs less than scaling each rung from the source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workloads.transcoder.config import Ladder
from workloads.transcoder.encode.hardware import FAMILIES, Hardware, coding
from workloads.transcoder.encode.ladder import EncodedRung

AUDIO = "audio"
VIDEO_TIMESCALE = 90_000
AUDIO_RATE = 48_000
AAC_PRIMING_SECONDS = 1024 / AUDIO_RATE
_MOVFLAGS = "empty_moov+default_base_moof+frag_every_frame+frag_discont+skip_trailer+skip_sidx+negative_cts_offsets"
_THREADED_SHORT_SIDE = 1080
_START_SLACK_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """One encoder run.

    `offset_seconds` is the media time of the encoder's zero, `elapsed_seconds` how far that is into the session's grid.
    `starts` says at which second of the encoder's clock a rendition goes on, where that is not at the beginning.
    `shed` are rungs that the ladder has and overload has taken; the next one below stands in for them.
    """

    rungs: tuple[EncodedRung, ...]
    audio: bool
    ladder: Ladder
    offset_seconds: float
    preset: str
    hardware: Hardware = Hardware.CPU
    elapsed_seconds: float = 0.0
    starts: Mapping[str, float] = field(default_factory=dict)
    shed: tuple[EncodedRung, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Renditions that the run makes."""
        return (*(rung.name for rung in self.rungs), *((AUDIO,) if self.audio else ()))

    @property
    def stand_in(self) -> str:
        """The rung whose frames those that are shed show meanwhile."""
        return next((rung.name for rung in self.rungs if not rung.copied), self.rungs[0].name)

    @property
    def first_cut_seconds(self) -> float:
        """Length of the first segment: half of the others, so that a player can start sooner."""
        gop, cut = self.ladder.gop_seconds, self.ladder.cut_seconds
        if gop >= cut:
            return cut / 2
        return max(1, round(cut / 2 / gop)) * gop

    @property
    def follows_source(self) -> bool:
        """Whether key frames are where the source has them, because one rung is the source itself."""
        return any(rung.copied for rung in self.rungs)


def build(ffmpeg: str, plan: EncodePlan, pipes: Mapping[str, int]) -> list[str]:
    """The argument list; `pipes` maps each rendition to the file descriptor that it is written to."""
    arguments = [ffmpeg, "-hide_banner", "-nostats", "-loglevel", "warning", *FAMILIES[plan.hardware].device]
    arguments += ["-threads", "1", "-flags", "low_delay", "-analyzeduration", "1000000", "-copyts"]
    arguments += ["-f", "flv", "-i", "pipe:0"]
    graph = filter_graph(plan)
    if graph:
        arguments += ["-filter_complex_threads", "1", "-filter_complex", graph]
    encoded = 0
    for rung in plan.rungs:
        if rung.copied:
            arguments += ["-map", "0:v:0", "-c:v", "copy", "-video_track_timescale", str(VIDEO_TIMESCALE)]
        else:
            arguments += _video(plan, rung, encoded)
            encoded += 1
        arguments += _output(plan, pipes[rung.name])
    if plan.audio:
        arguments += _audio(plan) + _output(plan, pipes[AUDIO])
    return arguments


def filter_graph(plan: EncodePlan) -> str:
    """Each encoded rung scaled from the one above it; outputs are labelled v0, v1, …; empty when all are copied."""
    rungs = [rung for rung in plan.rungs if not rung.copied]
    upload = FAMILIES[plan.hardware].upload
    steps = []
    feed = "[0:v:0]"
    for index, rung in enumerate(rungs):
        last = index == len(rungs) - 1
        filters = [f"fps={rung.fps:g}"] if rung.fps and index == 0 else []
        if rung.scaled or index:
            filters.append(f"scale={rung.width}:{rung.height}:flags=bilinear")
        filters += ["setsar=1", "format=yuv420p"]
        own = [f"trim=start={_start(plan, rung.name):.6f}"] if rung.name in plan.starts else []
        own += [upload] if upload else []
        if last:
            steps.append(f"{feed}{','.join([*filters, *own])}[v{index}]")
        elif own:
            steps.append(f"{feed}{','.join(filters)},split=2[t{index}][s{index}];[t{index}]{','.join(own)}[v{index}]")
        else:
            steps.append(f"{feed}{','.join(filters)},split=2[v{index}][s{index}]")
        feed = f"[s{index}]"
    return ";".join(steps)


def keyframes(plan: EncodePlan, name: str = "") -> str:
    """Where a key frame is due: one at each cut, aligned over all rungs, and one where the rendition goes on.

    An expression of ffmpeg over `t`, the encoder's clock, or `source` when one rung is the source itself.
    """
    if plan.follows_source:
        return "source"
    gop, elapsed = plan.ladder.gop_seconds, plan.elapsed_seconds
    start = _start(plan, name) if name in plan.starts else None
    if start is None:
        if gop < plan.ladder.cut_seconds:
            return f"expr:gte(t,n_forced*{gop:g})"
        first = plan.first_cut_seconds
        return f"expr:if(lt(n_forced,2),gte(t,n_forced*{first:g}),gte(t,(n_forced-1)*{gop:g}))"
    following = (int((start + elapsed) / gop + 1e-6) + 1) * gop - elapsed
    if following - start < gop / 8:
        following += gop  # a key frame so soon after another would only cost bits
    return f"expr:if(n_forced,gte(t,{following:.6f}+(n_forced-1)*{gop:g}),1)"


def _start(plan: EncodePlan, name: str) -> float:
    return max(0.0, plan.starts[name] - _START_SLACK_SECONDS)


def _video(plan: EncodePlan, rung: EncodedRung, index: int) -> list[str]:
    arguments = [
        *("-map", f"[v{index}]", "-fps_mode", "passthrough"),
        *(*coding(plan.hardware, plan.preset), "-profile:v", "high"),
        *("-b:v", f"{rung.video_kbps}k", "-maxrate", f"{rung.video_kbps}k", "-bufsize", f"{rung.video_kbps}k"),
        *("-force_key_frames", keyframes(plan, rung.name), "-g", "9999"),
    ]
    if plan.hardware == Hardware.CPU:
        threads = 2 if min(rung.width, rung.height) >= _THREADED_SHORT_SIDE else 1
        arguments += ["-x264-params", f"scenecut=0:threads={threads}"]
    return [*arguments, "-video_track_timescale", str(VIDEO_TIMESCALE)]


def _audio(plan: EncodePlan) -> list[str]:
    filters = "aresample=async=1000"
    if AUDIO in plan.starts:
        # The encoder's first packet lies one packet before its first sample.
        filters += f",atrim=start={max(0.0, plan.starts[AUDIO] + AAC_PRIMING_SECONDS):.6f}"
    return [
        *("-map", "0:a:0", "-af", filters, "-c:a", "aac", "-b:a", f"{plan.ladder.audio_kbps}k"),
        *("-ar", str(AUDIO_RATE), "-ac", "2"),
    ]


def _output(plan: EncodePlan, descriptor: int) -> list[str]:
    return [
        *("-f", "mp4", "-movflags", _MOVFLAGS, "-use_editlist", "0", "-flush_packets", "1"),
        *("-avoid_negative_ts", "disabled", "-output_ts_offset", f"{plan.offset_seconds:.6f}"),
        f"pipe:{descriptor}",
    ]
