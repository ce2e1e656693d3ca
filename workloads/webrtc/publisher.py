"""One publisher: its packets become FLV tags of one clock, and go where ingest's go.

Sound and picture come with clocks of their own; until sender reports tell how these relate, the first packets count as
simultaneous. H.264 passes untouched; what has to be converted is done in a thread, in order, one task a track.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor

from workloads.common import flv
from workloads.common.loops import going_on
from workloads.common.publication.relay import Relay
from workloads.webrtc import rtcp
from workloads.webrtc.assemble import Assembler, H264Assembler, Picture, Vp8Assembler
from workloads.webrtc.convert import RATE, AacMaker, ConvertError, H264Maker
from workloads.webrtc.dtls import Identity
from workloads.webrtc.flvmux import aac_frame, aac_header, avc_configuration, avc_header, avc_picture
from workloads.webrtc.negotiate import Plan, Source
from workloads.webrtc.negotiate import Track as Negotiated
from workloads.webrtc.packets import RtpHeader, parse_header
from workloads.webrtc.peer import Peer
from workloads.webrtc.port import UdpPort
from workloads.webrtc.reorder import Reorder
from workloads.webrtc.timeline import Timeline
from workloads.webrtc.wide import Arrivals

_STEP_SECONDS = 0.05
_KEY_FRAME_SECONDS = 2.0
_LOSS_KEY_FRAME_SECONDS = 0.5
_MAX_QUEUE = 200
_SPS, _PPS = 7, 8

logger = logging.getLogger(__name__)


class _Incoming:
    """One source of the publisher."""

    def __init__(self, track: Negotiated) -> None:
        self.track = track
        self.reorder: Reorder | None = None
        self.timeline = Timeline(track.codec.clock)

    def owns(self, payload_type: int) -> bool:
        """Whether a packet is of this track, or of its retransmissions."""
        return payload_type in (self.track.codec.payload_type, self.track.rtx)


class Publisher:
    """`peer.Media` of a WHIP session, with an accepted relay; `close` ends it."""

    def __init__(
        self,
        port: UdpPort,
        identity: Identity,
        plan: Plan,
        relay: Relay,
        threads: Executor,
        *,
        on_end: Callable[[str], None],
    ) -> None:
        self.name = secrets.token_hex(6)
        self.sources: dict[str, Source] = {}
        self.peer = Peer(port, identity, plan.fingerprint, self)
        self._relay = relay
        self._threads = threads
        self._on_end = on_end
        self._ssrc = secrets.randbits(31) + 1
        self._video = _Incoming(plan.video) if plan.video else None
        self._audio = _Incoming(plan.audio) if plan.audio else None
        vp8 = plan.video is not None and plan.video.codec.name == "vp8"
        self._assembler: Assembler = Vp8Assembler() if vp8 else H264Assembler()
        self._h264 = H264Maker() if vp8 else None
        self._aac: AacMaker | None = None
        self._sets: dict[int, bytes] = {}
        self._record = b""
        self._arrivals = Arrivals()
        self._sounds: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_MAX_QUEUE)
        self._pictures: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_MAX_QUEUE)
        work = (self._work(self._sounds, self._convert_sound), self._work(self._pictures, self._convert_picture))
        self._tasks = [asyncio.create_task(task) for task in (*work, self._step())]
        self._asked = 0.0
        self._reconnects = 0
        self._began = time.monotonic()
        self._closing: asyncio.Task[None] | None = None

    def on_connected(self) -> None:
        """Keys are there."""
        self._ask_key_frame(time.monotonic())

    def on_rtp(self, packet: bytes) -> None:
        """A packet of any track."""
        header = parse_header(packet)
        now = time.monotonic()
        incoming = self._incoming(header) if header else None
        if header is None or incoming is None:
            return
        wide = header.extensions.get(incoming.track.wide) if incoming.track.wide else None
        if wide and len(wide) == 2:
            self._arrivals.note(int.from_bytes(wide, "big"), now)
        payload = packet[header.start : header.end]
        repeated = header.payload_type == incoming.track.rtx
        if repeated:
            if len(payload) < 2 or incoming.reorder is None:
                return
            header = _original(header, int.from_bytes(payload[:2], "big"), incoming.reorder.ssrc)
            payload = payload[2:]
        if not payload:
            return
        if incoming.reorder is None:
            incoming.reorder = Reorder(header.ssrc, incoming.track.codec.clock)
        incoming.reorder.push(header, payload, now, repeated=repeated)
        self._drain(incoming, now)

    def on_rtcp(self, packet: bytes) -> None:
        """Sender reports tell how the clocks relate."""
        received = rtcp.parse(packet)
        if received.sender is None:
            return
        ssrc, stamp, timestamp = received.sender
        for incoming in (self._video, self._audio):
            if incoming and incoming.reorder and incoming.reorder.ssrc == ssrc:
                incoming.reorder.report_stamp = stamp >> 16 & 0xFFFFFFFF
                incoming.reorder.report_at = time.monotonic()
                incoming.timeline.report(stamp, timestamp)
        if self._video and self._audio:
            self._audio.timeline.align(self._video.timeline)

    def on_ended(self, reason: str) -> None:
        """The peer is gone."""
        self._stop()
        self._on_end(reason)

    def second(self, now: float, wall: float) -> None:
        """Once a second: receiver reports, and whether either side is gone."""
        found = [incoming.reorder for incoming in (self._video, self._audio) if incoming and incoming.reorder]
        if found:
            reports = [reorder.report(now) for reorder in found]
            name = rtcp.description(self._ssrc, self.name.encode())
            self.peer.send_rtcp(rtcp.receiver_report(self._ssrc, reports) + name)
        if self._relay.ended:
            self.close()
            self._on_end("transcoder lost")
            return
        self.peer.check(now)

    def close(self) -> None:
        """End it with a goodbye."""
        self.peer.send_rtcp(rtcp.goodbye(self._ssrc))
        self._stop()
        self.peer.close()

    async def closed(self) -> None:
        """Wait until the transcoder was told."""
        if self._closing:
            await asyncio.wait([self._closing])

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._relay.close())

    def _incoming(self, header: RtpHeader) -> _Incoming | None:
        for incoming in (self._video, self._audio):
            if incoming and incoming.owns(header.payload_type):
                return incoming
        return None

    def _drain(self, incoming: _Incoming, now: float) -> None:
        reorder = incoming.reorder
        if reorder is None:
            return
        for arrived in reorder.pop(now):
            if incoming is self._audio:
                milliseconds = incoming.timeline.milliseconds(arrived.header.stamp, now - self._began)
                _offer(self._sounds, (arrived.payload, milliseconds * RATE // 1000))
                continue
            for picture in self._assembler.push(arrived.header, arrived.payload, after_loss=arrived.after_loss):
                self._take_picture(picture, incoming.timeline.milliseconds(picture.stamp, now - self._began))

    def _take_picture(self, picture: Picture, milliseconds: int) -> None:
        if self._relay.congested:
            # Frames that wait would make every later one late.
            self._assembler.waiting = True
            return
        if self._h264 is not None:
            _offer(self._pictures, (picture.units[0], milliseconds))
            return
        self._configure(picture.sets)
        if picture.units and self._record:
            self._push(flv.VIDEO, milliseconds, avc_picture(picture.units, key=picture.key))

    def _configure(self, sets: tuple[bytes, ...]) -> None:
        for unit in sets:
            self._sets[unit[0] & 0x1F] = unit
        record = avc_configuration([self._sets[kind] for kind in (_SPS, _PPS) if kind in self._sets])
        if record and record != self._record:
            self._record = record
            self._push(flv.VIDEO, 0, avc_header(record))

    def _push(self, kind: int, milliseconds: int, payload: bytes) -> None:
        self._relay.push(kind, max(0, milliseconds), payload)
        self._relay.flush()

    async def _work(
        self, queue: asyncio.Queue[tuple[bytes, int]], convert: Callable[[bytes, int], list[tuple[int, int, bytes]]]
    ) -> None:
        loop = asyncio.get_running_loop()
        while going_on():
            item, stamp = await queue.get()
            try:
                tags = await loop.run_in_executor(self._threads, convert, item, stamp)
            except ConvertError as error:
                logger.info("a publisher's frame is dropped: %s", error, extra={"session": self.name})
                continue
            for kind, milliseconds, payload in tags:
                self._push(kind, milliseconds, payload)

    def _convert_sound(self, packet: bytes, stamp: int) -> list[tuple[int, int, bytes]]:
        tags: list[tuple[int, int, bytes]] = []
        if self._aac is None:
            self._aac = AacMaker()
            tags.append((flv.AUDIO, 0, aac_header(self._aac.configuration)))
        made = self._aac.feed(packet, stamp)
        return tags + [(flv.AUDIO, time * 1000 // RATE, aac_frame(frame)) for time, frame in made]

    def _convert_picture(self, frame: bytes, milliseconds: int) -> list[tuple[int, int, bytes]]:
        tags: list[tuple[int, int, bytes]] = []
        for key, units in self._h264.feed(frame) if self._h264 else ():
            record = avc_configuration(units) or self._record
            if record != self._record:
                self._record = record
                tags.append((flv.VIDEO, 0, avc_header(record)))
            slices = [unit for unit in units if 1 <= unit[0] & 0x1F <= 5]
            tags.append((flv.VIDEO, milliseconds, avc_picture(slices, key=key)))
        return tags

    async def _step(self) -> None:
        """Twenty times a second: packets that are missing, feedback, key frames."""
        while going_on():
            await asyncio.sleep(_STEP_SECONDS)
            now = time.monotonic()
            video = self._video.reorder if self._video else None
            for incoming in (self._video, self._audio):
                if incoming:
                    self._drain(incoming, now)
            missing = video.wanted(now) if video else []
            if video and missing:
                self.peer.send_rtcp(rtcp.nack(self._ssrc, video.ssrc, missing))
            feedback = self._arrivals.feedback(self._ssrc, video.ssrc if video else 0)
            if feedback:
                self.peer.send_rtcp(feedback)
            replaced = self._relay.reconnects != self._reconnects
            self._reconnects = self._relay.reconnects
            pause = _KEY_FRAME_SECONDS if video is None or not self._record else _LOSS_KEY_FRAME_SECONDS
            if replaced or (self._assembler.waiting and now - self._asked > pause):
                self._ask_key_frame(now)

    def _ask_key_frame(self, now: float) -> None:
        video = self._video.reorder if self._video else None
        if video:
            self._asked = now
            self.peer.send_rtcp(rtcp.picture_loss(self._ssrc, video.ssrc))


def _original(header: RtpHeader, number: int, ssrc: int) -> RtpHeader:
    """The header of the packet that a retransmission repeats."""
    return RtpHeader(
        header.payload_type, header.marker, number, header.stamp, ssrc, header.start, header.end, header.extensions
    )


def _offer(queue: asyncio.Queue[tuple[bytes, int]], item: tuple[bytes, int]) -> None:
    """Queue it, or drop it when the converter is hopelessly behind."""
    try:
        queue.put_nowait(item)
    except asyncio.QueueFull:
        logger.warning("a converter is behind: a frame is dropped")
