"""From what a transcoder sends to packets: video as it is, sound as Opus."""

import asyncio
import logging
from concurrent.futures import Executor

from workloads.common.cmaf.boxes import BoxError
from workloads.common.cmaf.codecs import decoder_configuration
from workloads.common.cmaf.fragment import Fragment, Init
from workloads.webrtc.opus import RATE, OpusMaker, SoundError
from workloads.webrtc.packets import Frame, h264_payloads, split_units
from workloads.webrtc.track import Track
from workloads.webrtc.viewer import VIDEO_CLOCK

logger = logging.getLogger(__name__)


def parameter_sets(record: bytes) -> list[bytes]:
    """Sequence and picture parameter sets of an AVCDecoderConfigurationRecord; BoxError when it is broken."""
    found: list[bytes] = []
    at = 5
    try:
        for mask in (0x1F, 0xFF):
            count = record[at] & mask
            at += 1
            for _ in range(count):
                size = int.from_bytes(record[at : at + 2], "big")
                unit = record[at + 2 : at + 2 + size]
                if not size or len(unit) != size:
                    raise BoxError("truncated parameter set")
                found.append(unit)
                at += 2 + size
    except IndexError as error:
        raise BoxError("truncated decoder configuration") from error
    return found


class VideoMaker:
    """Packetises one rung into its track."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._timescale = VIDEO_CLOCK
        self._sets: list[bytes] = []

    async def take(self, item: Init | Fragment) -> None:
        """The next thing of the feed."""
        if isinstance(item, Init):
            self._timescale = item.timescale
            self._sets = parameter_sets(decoder_configuration(item.data))
            return
        at, time = 0, item.decode_time
        for sample in item.samples:
            stamp = time * VIDEO_CLOCK // self._timescale
            pieces = h264_payloads(split_units(item.data[at : at + sample.size]), self._sets)
            self._track.add(Frame(stamp, sample.sync, tuple(pieces)))
            at += sample.size
            time += sample.duration


class SoundMaker:
    """Transcodes the stream's sound into its track, in a thread."""

    def __init__(self, track: Track, threads: Executor) -> None:
        self._track = track
        self._threads = threads
        self._timescale = RATE
        self._maker: OpusMaker | None = None

    async def take(self, item: Init | Fragment) -> None:
        """The next thing of the feed."""
        if isinstance(item, Init):
            self._timescale = item.timescale
            self._maker = OpusMaker(decoder_configuration(item.data))
            return
        maker = self._maker
        if maker is None:
            return
        at, time = 0, item.decode_time
        for sample in item.samples:
            data = item.data[at : at + sample.size]
            await self._feed(maker, data, time * RATE // self._timescale)
            at += sample.size
            time += sample.duration

    async def _feed(self, maker: OpusMaker, data: bytes, time: int) -> None:
        try:
            packets = await asyncio.get_running_loop().run_in_executor(self._threads, maker.feed, data, time)
        except SoundError as error:
            logger.warning("sound is dropped: %s", error)
            return
        for stamp, packet in packets:
            self._track.add(Frame(stamp, True, (packet,), marker=False))
