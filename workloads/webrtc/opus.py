"""Sound for browsers: AAC of the ladder as Opus packets of 20 ms, made once a stream by libav.

Every call costs some 100 microseconds and more, so it belongs in a thread. Opus looks ahead by 6.5 ms: the packets are
dated back by that, or the sound would be late.
"""

from typing import Any

import av
import numpy as np
from av.error import FFmpegError

RATE = 48_000
PACKET_SAMPLES = 960
_LOOK_AHEAD = 312
_GAP_SAMPLES = RATE // 20


class SoundError(Exception):
    """libav cannot decode or encode this."""


class OpusMaker:
    """One track's transcoder; `feed` it in order."""

    def __init__(self, configuration: bytes, *, kbps: int = 96) -> None:
        """`configuration` is the AudioSpecificConfig."""
        decoder = av.CodecContext.create("aac", "r")
        decoder.extradata = configuration
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.bit_rate = RATE, kbps * 1000
        encoder.layout, encoder.format = "stereo", "flt"
        encoder.options = {"frame_duration": "20", "application": "audio", "vbr": "on", "compression_level": "5"}
        self._decoder, self._encoder = decoder, encoder
        self._resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE)
        self._samples: Any = np.zeros((0, 2), np.float32)
        self._next = 0
        self._begun = False

    def feed(self, data: bytes, time: int) -> list[tuple[int, bytes]]:
        """(time, packet) of what an AAC frame completes; times are in samples at 48 kHz. SoundError when it is none."""
        try:
            decoded = list(self._decoder.decode(av.Packet(data)))
            resampled = [piece for frame in decoded for piece in self._resampler.resample(frame)]
        except FFmpegError as error:
            raise SoundError(str(error)) from error
        for piece in resampled:
            self._append(piece.to_ndarray().reshape(-1, 2), time)
            time += piece.samples
        return self._encode()

    def _append(self, samples: Any, time: int) -> None:
        expected = self._next + len(self._samples)
        if not self._begun or abs(time - expected) > _GAP_SAMPLES:
            self._samples = self._samples[:0]
            self._next = time
            self._begun = True
        self._samples = np.concatenate((self._samples, samples))

    def _encode(self) -> list[tuple[int, bytes]]:
        packets: list[tuple[int, bytes]] = []
        while len(self._samples) >= PACKET_SAMPLES:
            piece, self._samples = self._samples[:PACKET_SAMPLES], self._samples[PACKET_SAMPLES:]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(piece).reshape(1, -1), format="flt", layout="stereo"
            )
            frame.sample_rate = RATE
            frame.pts = None
            packets += [(self._next - _LOOK_AHEAD, bytes(packet)) for packet in self._encoder.encode(frame)]
            self._next += PACKET_SAMPLES
        return packets
