"""What publishers' codecs become before a transcoder gets them: Opus as AAC, VP8 as H.264. For threads.

The picture keeps its first size: browsers change theirs with the network, and a ladder does not.
"""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from workloads.webrtc.flvmux import split_annex_b

RATE = 48_000
AAC_SAMPLES = 1024
_GAP_SAMPLES = RATE // 10
_KEY_INTERVAL = 30
_VIDEO_KBPS = 4000


class ConvertError(Exception):
    """libav cannot decode or encode this."""


class AacMaker:
    """Opus packets in order become AAC frames."""

    def __init__(self, kbps: int = 128) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate, self._decoder.layout = RATE, "stereo"
        encoder = av.CodecContext.create("aac", "w")
        encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "fltp"
        encoder.bit_rate = kbps * 1000
        encoder.open()
        self._encoder = encoder
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        self._samples: Any = np.zeros((2, 0), np.float32)
        self._next: int | None = None

    @property
    def configuration(self) -> bytes:
        """The AudioSpecificConfig."""
        return bytes(self._encoder.extradata or b"\x11\x90")

    def feed(self, packet: bytes, time: int) -> list[tuple[int, bytes]]:
        """(time, frame) of what a packet completes; times in samples at 48 kHz. ConvertError when it is no Opus."""
        try:
            decoded = list(self._decoder.decode(av.Packet(packet)))
            pieces = [piece for frame in decoded for piece in self._resampler.resample(frame)]
        except FFmpegError as error:
            raise ConvertError(str(error)) from error
        for piece in pieces:
            if self._next is None or abs(time - self._next - self._samples.shape[1]) > _GAP_SAMPLES:
                self._samples, self._next = self._samples[:, :0], time
            self._samples = np.concatenate((self._samples, piece.to_ndarray()), axis=1)
            time += piece.samples
        return self._encode()

    def _encode(self) -> list[tuple[int, bytes]]:
        frames: list[tuple[int, bytes]] = []
        while self._next is not None and self._samples.shape[1] >= AAC_SAMPLES:
            piece = np.ascontiguousarray(self._samples[:, :AAC_SAMPLES])
            self._samples = self._samples[:, AAC_SAMPLES:]
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, None
            # The encoder gives the frame before: its delay is one frame.
            frames += [(self._next - AAC_SAMPLES, bytes(packet)) for packet in self._encoder.encode(frame)]
            self._next += AAC_SAMPLES
        return frames


class H264Maker:
    """VP8 frames in order become H.264 pictures."""

    def __init__(self, fps: int = 30) -> None:
        self._decoder = av.CodecContext.create("vp8", "r")
        self._encoder: Any = None
        self._fps = fps
        self._count = 0

    def feed(self, data: bytes) -> list[tuple[bool, list[bytes]]]:
        """(key, NAL units) of what a frame completes; ConvertError when it is no VP8."""
        try:
            made: list[tuple[bool, list[bytes]]] = []
            for frame in self._decoder.decode(av.Packet(data)):
                if self._encoder is None:
                    self._encoder = self._make(frame.width, frame.height)
                fitted = frame.reformat(self._encoder.width, self._encoder.height, "yuv420p")
                fitted.pts, fitted.pict_type = self._count, 0
                self._count += 1
                made += [(packet.is_keyframe, split_annex_b(bytes(packet))) for packet in self._encoder.encode(fitted)]
        except FFmpegError as error:
            raise ConvertError(str(error)) from error
        return made

    def _make(self, width: int, height: int) -> Any:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width & ~1, height & ~1, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, self._fps), Fraction(self._fps)
        encoder.bit_rate, encoder.gop_size = _VIDEO_KBPS * 1000, _KEY_INTERVAL
        encoder.thread_count = 1
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "scenecut=0"}
        return encoder
