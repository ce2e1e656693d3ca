"""One viewer: which frames go to it under which time, and what its feedback changes.

A viewer begins with the group of pictures that is there, squeezed to the live edge, so that it sees a picture at once
and is not late afterwards. A lost picture is mended the same way, because the ladder's encoder makes key frames by its
clock and for nobody in particular. It changes the rung at a key frame; all rungs and the sound share one clock.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.webrtc import rtcp
from workloads.webrtc.dtls import Identity
from workloads.webrtc.estimate import Estimator
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.negotiate import Plan, Source
from workloads.webrtc.negotiate import Track as Negotiated
from workloads.webrtc.outlet import Outlet, Wide
from workloads.webrtc.packets import Frame
from workloads.webrtc.peer import Peer
from workloads.webrtc.port import UdpPort
from workloads.webrtc.srtp import Scratch
from workloads.webrtc.track import Track

VIDEO_CLOCK, AUDIO_CLOCK = 90_000, 48_000
CATCH_UP_BPS = 20_000_000
_STEP_SECONDS = 0.005
_SQUEEZED_TICKS = 180
_MEND_TICKS = 10
_MEND_PAUSE_SECONDS = 0.7

logger = logging.getLogger(__name__)


class Viewer:
    """`peer.Media` of a WHEP session; `watch` tells it its tracks, `close` ends it."""

    def __init__(
        self,
        port: UdpPort,
        scratch: Scratch,
        identity: Identity,
        plan: Plan,
        metrics: Metrics,
        *,
        on_end: Callable[[str], None],
    ) -> None:
        self.name = secrets.token_hex(6)
        self._plan = plan
        self._metrics = metrics
        self._on_end = on_end
        self._wide = Wide()
        self.peer = Peer(port, identity, plan.fingerprint, self)
        self.sources: dict[str, Source] = {}
        self._video = self._outlet(port, scratch, plan.video) if plan.video else None
        self._audio = self._outlet(port, scratch, plan.audio) if plan.audio else None
        self.estimator = Estimator(time.monotonic())
        self.measured = False
        self.track: Track | None = None
        self._next_track: Track | None = None
        self._sound: Track | None = None
        self._last_time = -1
        self._behind: deque[tuple[Frame, int]] = deque()
        self._pump: asyncio.TimerHandle | None = None
        self._mended = 0.0
        self._acked_since, self._acked_bytes, self._acked_bps = 0.0, 0, 0.0

    def _outlet(self, port: UdpPort, scratch: Scratch, track: Negotiated) -> Outlet:
        ssrc, other = secrets.randbits(31) + 1, secrets.randbits(31) + 1
        self.sources[track.section.kind] = Source(ssrc, 0 if track.rtx is None else other)
        return Outlet(
            port,
            scratch,
            self._wide,
            ssrc=ssrc,
            payload_type=track.codec.payload_type,
            element=track.wide,
            rtx=None if track.rtx is None else (other, track.rtx),
            first_number=secrets.randbits(14) + 1,
        )

    @property
    def wanted_rung(self) -> str:
        """The rung that it is on or changes to; empty before the first."""
        track = self._next_track or self.track
        return track.name if track else ""

    def watch(self, video: Track, sound: Track | None) -> None:
        """Begin (or go on) with these tracks; another video track is changed to at its next key frame."""
        if sound is not self._sound:
            if self._sound:
                self._sound.leave(self)
            self._sound = sound
            if sound and self.peer.outbound:
                sound.listen(self, self._push_audio)
        if self._next_track and self._next_track is not video:
            if self._next_track is not self.track:
                self._next_track.leave(self)
            self._next_track = None
        if self.track is None:
            self.track = video
            if self.peer.outbound:
                self._begin()
        elif video is not self.track and video is not self._next_track:
            self._next_track = video
            video.listen(self, self._push_other)

    def on_connected(self) -> None:
        """Keys are there."""
        self._acked_since = time.monotonic()
        if self.track:
            self._begin()
        if self._sound:
            self._sound.listen(self, self._push_audio)

    def on_ended(self, reason: str) -> None:
        """The peer is gone."""
        self._metrics.ended.labels(reason).inc()
        self._leave()
        self._on_end(reason)

    def close(self) -> None:
        """End the session with a goodbye."""
        ssrcs = [outlet.ssrc for outlet in (self._video, self._audio) if outlet]
        if ssrcs:
            self.peer.send_rtcp(rtcp.goodbye(*ssrcs))
        self._leave()
        self.peer.close()

    def on_rtp(self, packet: bytes) -> None:
        """Viewers send no media."""

    def on_rtcp(self, packet: bytes) -> None:
        """Take feedback."""
        received = rtcp.parse(packet)
        now = time.monotonic()
        for feedback in received.feedback:
            self._measure(feedback, now)
        for _, numbers in received.nacks:
            self._metrics.nacks.inc(len(numbers))
            cipher, address = self.peer.outbound, self.peer.address
            if self._video and cipher and address:
                self._metrics.resent.inc(self._video.resend(numbers, now, cipher, address))
        if received.key_frame_wanted:
            self._metrics.key_frames.inc()
            self._mend(now)
        if received.bandwidth:
            self.measured = True
            self.estimator.bandwidth(received.bandwidth)

    def second(self, now: float, wall: float) -> None:
        """Once a second: sender reports, and whether the peer still wants anything."""
        reports = b""
        media = wall - MEDIA_EPOCH_SECONDS
        for outlet, clock in ((self._video, VIDEO_CLOCK), (self._audio, AUDIO_CLOCK)):
            if outlet and outlet.packets:
                reports += rtcp.sender_report(
                    outlet.ssrc,
                    wall=wall,
                    timestamp=int(media * clock),
                    packets=outlet.packets,
                    octets=outlet.octets,
                    name=self.name.encode(),
                )
                outlet.second()
        if reports:
            self.peer.send_rtcp(reports)
        self._metrics.estimate.observe(self.estimator.bps)
        self.peer.check(now)

    def _leave(self) -> None:
        for track in (self.track, self._next_track, self._sound):
            if track:
                track.leave(self)
        self.track = self._next_track = self._sound = None
        if self._pump:
            self._pump.cancel()
            self._pump = None
        self._behind.clear()

    def _begin(self) -> None:
        if self.track:
            self._queue_group(self.track.group)
            self.track.listen(self, self._push_video)

    def _queue_group(self, group: Sequence[Frame]) -> None:
        """Send these frames as fast as is decent, dated so that they end at the live edge."""
        if not group or self._video is None:
            return
        edge, free = group[-1].time, self._video.last_stamp + 1
        ticks = _SQUEEZED_TICKS if self._video.last_stamp < 0 else _MEND_TICKS
        begin = max(free, edge - ticks * (len(group) - 1))
        self._behind.clear()
        self._behind.extend((frame, begin + index * ticks) for index, frame in enumerate(group))
        self._last_time = edge
        self._catch_up()

    def _catch_up(self) -> None:
        self._pump = None
        budget = CATCH_UP_BPS / 8 * _STEP_SECONDS
        while self._behind and budget > 0:
            frame, stamp = self._behind.popleft()
            budget -= frame.size
            self._send(frame, stamp)
        if self._behind:
            # A large frame costs more than a step: it is paid for by waiting longer.
            wait = _STEP_SECONDS - min(0.0, budget) * 8 / CATCH_UP_BPS
            self._pump = asyncio.get_running_loop().call_later(wait, self._catch_up)

    def _push_video(self, frame: Frame) -> None:
        if self._last_time < 0 and not frame.key:
            return
        self._last_time = frame.time
        if self._behind:
            self._behind.append((frame, frame.time))
        else:
            self._send(frame, frame.time)

    def _push_other(self, frame: Frame) -> None:
        """A frame of the rung that is changed to."""
        if not frame.key or frame.time < self._last_time or self._next_track is None:
            return
        if self.track:
            self.track.leave(self)
        self.track, self._next_track = self._next_track, None
        self.track.listen(self, self._push_video)
        self._metrics.switches.inc()
        self._push_video(frame)

    def _push_audio(self, frame: Frame) -> None:
        cipher, address = self.peer.outbound, self.peer.address
        if self._audio and cipher and address:
            self._audio.send(frame, frame.time, time.monotonic(), cipher, address)

    def _send(self, frame: Frame, stamp: int) -> None:
        cipher, address, outlet = self.peer.outbound, self.peer.address, self._video
        if outlet and cipher and address:
            outlet.send(frame, max(stamp, outlet.last_stamp + 1), time.monotonic(), cipher, address)

    def _mend(self, now: float) -> None:
        """The picture is lost: send the group again, unless that was done just now or is under way."""
        if self.track is None or self._behind or now - self._mended < _MEND_PAUSE_SECONDS:
            return
        self._mended = now
        self._queue_group(self.track.group)

    def _measure(self, feedback: rtcp.Feedback, now: float) -> None:
        delays: list[float | None] = []
        for number, arrival in enumerate(feedback.arrivals, feedback.base):
            sent = self._wide.sent(number & 0xFFFF)
            if sent is None:
                continue
            delays.append(None if arrival is None else arrival - sent[0])
            self._acked_bytes += 0 if arrival is None else sent[1]
        elapsed = now - self._acked_since
        if elapsed >= 1:
            self._acked_bps = self._acked_bytes * 8 / elapsed
            self._acked_since, self._acked_bytes = now, 0
        self.measured = True
        self.estimator.feedback(delays, self._acked_bps, now)
