"""The low-latency DASH manifest of the same parts and segments as the playlists; a pure function of the renditions.

Media time is one clock for ever, so `availabilityStartTime` is its zero and presentation times are decode times: a
manifest of another edge, or of the transcoder's successor, is the same timeline. Each discontinuity begins a period,
because decoder configurations change there. Segments are listed by `SegmentTimeline`, the growing one with the length
that it will have; their chunks can be read while they are made. Source: ISO/IEC 23009-1, DASH-IF low-latency modes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.package.playlist import Variant, bandwidth, init_uri
from workloads.transcoder.package.rendition import Rendition, Segment

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
TIME_PATH = "/time"
_LATENCY_MS = 2_000
_MAX_LATENCY_MS = 6_000
_AUDIO_RATE = "48000"
_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"


def manifest(
    variants: Sequence[Variant],
    audio: Rendition | None,
    *,
    cut_seconds: float,
    audio_kbps: int,
    now: float,
    window_seconds: float,
) -> str:
    """The MPD at epoch seconds `now`; the variants are in the order of their size."""
    mpd = Xml.Element("MPD", _head(cut_seconds, now, window_seconds))
    service = Xml.SubElement(mpd, "ServiceDescription", id="0")
    target, longest = max(_LATENCY_MS, round(cut_seconds * 500)), _MAX_LATENCY_MS + round(cut_seconds * 1000)
    Xml.SubElement(service, "Latency", target=str(target), min=str(target // 2), max=str(longest), referenceId="0")
    Xml.SubElement(service, "PlaybackRate", min="0.96", max="1.06")
    everything = [*(variant.rendition for variant in variants), *([audio] if audio else [])]
    for sequence, start in _periods(everything):
        period = Xml.SubElement(mpd, "Period", id=f"p{sequence}", start=f"PT{start:.3f}S")
        _video(period, variants, sequence, start, cut_seconds)
        if audio:
            _audio(period, audio, sequence, start, cut_seconds, audio_kbps)
    Xml.SubElement(mpd, "UTCTiming", schemeIdUri="urn:mpeg:dash:utc:http-iso:2014", value=TIME_PATH)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + Xml.tostring(mpd, encoding="unicode") + "\n"


def _head(cut_seconds: float, now: float, window_seconds: float) -> dict[str, str]:
    return {
        "xmlns": NAMESPACE,
        "profiles": PROFILE,
        "type": "dynamic",
        "availabilityStartTime": _date(MEDIA_EPOCH_SECONDS),
        "publishTime": _date(now),
        "minimumUpdatePeriod": f"PT{max(0.5, cut_seconds / 2):g}S",
        "timeShiftBufferDepth": f"PT{window_seconds:g}S",
        "maxSegmentDuration": f"PT{cut_seconds * 2:g}S",
        "minBufferTime": "PT1S",
        "suggestedPresentationDelay": f"PT{_LATENCY_MS / 1000:g}S",
    }


def _periods(renditions: Sequence[Rendition]) -> list[tuple[int, float]]:
    """Discontinuity sequence and start of each period that has media; a start never changes."""
    found: dict[int, float] = {}
    for rendition in renditions:
        present = {segment.discontinuity_sequence for segment in _listed(rendition)}
        for sequence, start in rendition.epochs.items():
            if sequence in present:
                found[sequence] = min(start, found.get(sequence, start))
    return sorted((sequence, int(start * 1000) / 1000) for sequence, start in found.items())


def _video(period: Xml.Element, variants: Sequence[Variant], sequence: int, start: float, cut_seconds: float) -> None:
    entries = [(variant, _of(variant.rendition, sequence)) for variant in variants]
    entries = [(variant, segments) for variant, segments in entries if segments]
    if not entries:
        return
    adaptation = Xml.SubElement(
        period,
        "AdaptationSet",
        id="1",
        contentType="video",
        mimeType="video/mp4",
        segmentAlignment="true",
        startWithSAP="1",
    )
    for variant, segments in entries:
        rendition = variant.rendition
        init = rendition.inits[segments[-1].init]
        peak, _ = bandwidth(rendition, variant.nominal_kbps)
        representation = Xml.SubElement(
            adaptation,
            "Representation",
            id=rendition.name,
            codecs=init.codec,
            bandwidth=str(peak),
            width=str(init.width),
            height=str(init.height),
            frameRate=_rate(variant.fps),
        )
        _template(representation, rendition, segments, start, cut_seconds)


def _audio(
    period: Xml.Element, audio: Rendition, sequence: int, start: float, cut_seconds: float, audio_kbps: int
) -> None:
    segments = _of(audio, sequence)
    if not segments:
        return
    adaptation = Xml.SubElement(
        period, "AdaptationSet", id="2", contentType="audio", mimeType="audio/mp4", segmentAlignment="true", lang="und"
    )
    Xml.SubElement(adaptation, "Role", schemeIdUri="urn:mpeg:dash:role:2011", value="main")
    peak, _ = bandwidth(audio, audio_kbps)
    representation = Xml.SubElement(
        adaptation,
        "Representation",
        id=audio.name,
        codecs=audio.inits[segments[-1].init].codec,
        bandwidth=str(peak),
        audioSamplingRate=_AUDIO_RATE,
    )
    Xml.SubElement(representation, "AudioChannelConfiguration", schemeIdUri=_CHANNELS, value="2")
    _template(representation, audio, segments, start, cut_seconds)


def _template(
    representation: Xml.Element, rendition: Rendition, segments: Sequence[Segment], start: float, cut_seconds: float
) -> None:
    timescale = rendition.inits[segments[-1].init].timescale
    template = Xml.SubElement(
        representation,
        "SegmentTemplate",
        timescale=str(timescale),
        presentationTimeOffset=str(round(start * timescale)),
        initialization=f"{rendition.name}/{init_uri(segments[-1].init)}",
        media=f"{rendition.name}/$Number$.m4s",
        startNumber=str(segments[0].msn),
        availabilityTimeOffset=f"{max(0.0, cut_seconds - rendition.part_seconds):.3f}",
        availabilityTimeComplete="false",
    )
    timeline = Xml.SubElement(template, "SegmentTimeline")
    ends = [*(segment.start for segment in segments[1:]), _end(rendition, segments[-1], cut_seconds)]
    for segment, end in zip(segments, ends, strict=True):
        at = round(segment.start * timescale)
        Xml.SubElement(timeline, "S", t=str(at), d=str(max(1, round(end * timescale) - at)))


def _end(rendition: Rendition, last: Segment, cut_seconds: float) -> float:
    """Where the last listed segment ends, or is going to."""
    if last is not rendition.current:
        return last.start + last.duration
    cut = rendition.next_cut
    expected = cut if last.start < cut < last.start + 4 * cut_seconds else last.start + cut_seconds
    return max(expected, last.start + last.duration)


def _listed(rendition: Rendition) -> list[Segment]:
    growing = rendition.current
    return [*rendition.listed(), *([growing] if growing and growing.parts else [])]


def _of(rendition: Rendition, sequence: int) -> list[Segment]:
    return [segment for segment in _listed(rendition) if segment.discontinuity_sequence == sequence]


def _rate(fps: float) -> str:
    return str(round(fps)) if abs(fps - round(fps)) < 0.01 else f"{round(fps * 1001)}/1001"


def _date(epoch_seconds: float) -> str:
    stamp = datetime.fromtimestamp(epoch_seconds, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
