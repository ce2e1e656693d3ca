"""One publisher's media on its way into encoders, one after the other.

The publisher is read as fast as it sends, whatever the encoder does: an encoder that is too slow is replaced by one
with less to do (`encode.shedding`), which goes on at the very frame where the last one stopped. The trap is back
pressure: it would move the queue into the publisher's machine, where nobody sees it, and latency would only grow.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from starlette.requests import ClientDisconnect, Request

from workloads.common import flv
from workloads.common.cmaf.fragment import Fragment, Init
from workloads.transcoder.config import TranscoderSettings
from workloads.transcoder.encode.command import AUDIO, EncodePlan
from workloads.transcoder.encode.encoder import Encoder, EncoderError, Sink
from workloads.transcoder.encode.hardware import Hardware
from workloads.transcoder.encode.intake import Intake
from workloads.transcoder.encode.ladder import EncodedRung, choose
from workloads.transcoder.encode.passthrough import Passthrough
from workloads.transcoder.encode.shedding import Decision, Shedding
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.package.grid import Grid, SourceGrid
from workloads.transcoder.source import Probe, Source
from workloads.transcoder.stream import Stream

STALL_SECONDS = 10.0
SILENCE_SECONDS = 40.0
TICK_SECONDS = 0.2
_SKIP_TO_SECONDS = 0.3

logger = logging.getLogger(__name__)


class Session:
    """Made for one publish request; `run` it."""

    def __init__(
        self,
        stream: Stream,
        settings: TranscoderSettings,
        ffmpeg: str,
        metrics: Metrics,
        *,
        hardware: Hardware = Hardware.CPU,
        backlog_seconds: float = 0.0,
        encoder_memory_bytes: int = 0,
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._ffmpeg = ffmpeg
        self._metrics = metrics
        self._hardware = hardware
        self._backlog_seconds = backlog_seconds
        self._encoder_memory_bytes = encoder_memory_bytes
        self._tags = flv.TagReader()
        self._probe = Probe()
        self._source = Source()
        self._intake = Intake()
        # Only slices of the own encoder are sure to have headers that can be told from what is encrypted.
        wanted = settings.passthrough and stream.protector is None
        self._passthrough = Passthrough(stream.spec.ladder, stream.protocol, wanted=wanted)
        self._offset_seconds = 0.0
        self._grid: Grid | SourceGrid = Grid(0.0, 1.0, 1.0)
        self._began = self._ended = False
        self._known = asyncio.Event()
        self._arrived = asyncio.Event()
        self._last_output = 0.0

    async def run(self, request: Request) -> None:
        """Until the publisher ends; FlvError or EncoderError when it cannot go on."""
        extra = {"stream": self._stream.spec.stream}
        self._stream.publishing()
        logger.info("publisher connected", extra=extra)
        tasks = [asyncio.create_task(self._read(request)), asyncio.create_task(self._drive())]
        try:
            reading, driving = tasks
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            await driving
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._stream.finish()
            logger.info("publisher gone", extra=extra)

    async def _read(self, request: Request) -> None:
        async for data in _body(request):
            self._take(data)
        self._ended = True
        self._known.set()
        self._arrived.set()

    def _take(self, data: bytes) -> None:
        tags = self._tags.feed(data)
        frames = sum(tag.kind == flv.VIDEO and not flv.is_sequence_header(tag.kind, tag.payload) for tag in tags)
        self._stream.media_arrived(len(data), frames)
        if tags and not self._began:
            self._began = True
            self._offset_seconds = self._stream.media_time(self._backlog_seconds)
        for tag in tags:
            arrival = self._intake.add(tag)
            self._passthrough.add(arrival)
            if arrival.key and isinstance(self._grid, SourceGrid):
                self._grid.key_frame(self._media_time(arrival.at_ms))
            if not self._known.is_set():
                self._probe.add(tag)
        self._stream.arrived_at(self._media_time(self._intake.newest_ms))
        if self._probe.ready():
            self._known.set()
        self._arrived.set()

    def _media_time(self, at_ms: int) -> float:
        return self._offset_seconds + at_ms / 1000

    async def _drive(self) -> None:
        """Encoders, one after the other, until the publisher has ended."""
        await self._known.wait()
        if not self._probe.ready():
            return
        self._source = self._probe.result()
        if not self._source.has_video:
            raise flv.FlvError("there is no video in it")
        rungs = self._rungs()
        plan = EncodePlan(
            rungs=rungs,
            audio=self._source.has_audio,
            ladder=self._stream.spec.ladder,
            offset_seconds=self._offset_seconds,
            preset=self._settings.x264_preset,
            hardware=self._hardware,
        )
        self._grid = self._new_grid(plan)
        now = asyncio.get_running_loop().time()
        shedding = Shedding(_sheddable(rungs), wait_seconds=self._settings.shed_wait_seconds, now=now)
        while True:
            decision = await self._encode(plan, shedding)
            if decision is None:
                return
            plan = self._next_plan(plan, decision)
            shedding.sheddable = _sheddable((*plan.shed, *plan.rungs))

    def _rungs(self) -> tuple[EncodedRung, ...]:
        keep = {*self._stream.rungs, *self._stream.shed}
        fits = self._passthrough.fits(self._source)
        return tuple(choose(self._stream.spec.ladder, self._source, keep=keep, passthrough=fits))

    def _new_grid(self, plan: EncodePlan) -> Grid | SourceGrid:
        if not plan.follows_source:
            return Grid(self._offset_seconds, plan.first_cut_seconds, plan.ladder.cut_seconds)
        grid = SourceGrid(self._offset_seconds, plan.ladder.cut_seconds)
        for at_ms in self._intake.key_frames():
            grid.key_frame(self._media_time(at_ms))
        return grid

    def _next_plan(self, plan: EncodePlan, decision: Decision) -> EncodePlan:
        """The plan of an encoder that goes on where the last one stopped, with the rungs that the decision leaves."""
        stream = self._stream
        everything = self._rungs_of(plan)
        if plan.follows_source and not any(rung.copied for rung in everything):
            self._grid = Grid(self._offset_seconds, plan.first_cut_seconds, plan.ladder.cut_seconds)
        shed = tuple(rung for rung in everything if not rung.copied)[: decision.shed]
        rungs = tuple(rung for rung in everything if rung not in shed)
        names = (*(rung.name for rung in rungs), *(name for name in plan.names if name == AUDIO))
        newest = stream.input_time - _SKIP_TO_SECONDS
        starts = {name: max(self._offset_seconds, stream.renditions[name].last_time) for name in names}
        if decision.skip:
            first = min(starts.values())
            starts = {name: max(newest, start) for name, start in starts.items()}
            dropped = self._intake.frames_between(self._at_ms(first), self._at_ms(newest))
            stream.frames_dropped += dropped
            self._metrics.frames_dropped.labels(stream.spec.stream).inc(dropped)
        base_ms = self._intake.rewind(self._at_ms(min(starts.values())))
        offset = self._media_time(base_ms)
        next_plan = replace(
            plan,
            rungs=rungs,
            shed=shed,
            offset_seconds=offset,
            elapsed_seconds=base_ms / 1000,
            starts={name: start - offset for name, start in starts.items()},
        )
        logger.warning(
            "encoder replaced",
            extra={"stream": stream.spec.stream, "rungs": names, "shed": decision.shed, "skip": decision.skip},
        )
        return next_plan

    def _at_ms(self, media_time: float) -> int:
        return round((media_time - self._offset_seconds) * 1000)

    async def _encode(self, plan: EncodePlan, shedding: Shedding) -> Decision | None:
        """Run one encoder; what to do next, None when the publisher has ended and everything is published."""
        loop = asyncio.get_running_loop()
        self._stream.begin(plan, self._source, self._grid)
        encoder = await Encoder.start(self._ffmpeg, plan, self._sink(), memory_bytes=self._encoder_memory_bytes)
        self._last_output = loop.time()
        extra = {"stream": self._stream.spec.stream, "pid": encoder.pid, "rungs": plan.names}
        logger.info("encoder started", extra={**extra, "source": str(self._source)})
        feeding = asyncio.create_task(self._feed(encoder))
        try:
            while not feeding.done():
                await asyncio.wait({feeding}, timeout=TICK_SECONDS)
                decision = self._decide(plan, shedding, loop.time())
                if decision and not feeding.done():
                    return decision
            feeding.result()
            await encoder.finish()
            return None
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await encoder.kill()

    def _decide(self, plan: EncodePlan, shedding: Shedding, now: float) -> Decision | None:
        stream = self._stream
        done = [stream.renditions[name].last_time for name in plan.names]
        if all(done):
            self._intake.trim(self._at_ms(min(done)))
        decision = shedding.observe(now=now, speed=stream.speed(), lateness=stream.lateness())
        if decision is None and plan.follows_source and not self._passthrough.fits(self._source):
            logger.info("the source is not passed through any more", extra={"stream": stream.spec.stream})
            return Decision(shedding.shed, skip=False)
        return decision

    def _rungs_of(self, plan: EncodePlan) -> tuple[EncodedRung, ...]:
        """All rungs of the plan, shed ones included; encoded again when the source does not fit any more."""
        everything = sorted((*plan.shed, *plan.rungs), key=lambda rung: -min(rung.width, rung.height))
        if self._passthrough.fits(self._source):
            return tuple(everything)
        return tuple(replace(rung, copied=False) for rung in everything)

    def _sink(self) -> Sink:
        loop = asyncio.get_running_loop()

        def sink(name: str, item: Init | Fragment) -> None:
            self._last_output = loop.time()
            self._stream.encoded(name, item)

        return sink

    async def _feed(self, encoder: Encoder) -> None:
        """Give the encoder what arrives, until the publisher has ended; EncoderError when it fails."""
        loop = asyncio.get_running_loop()
        while True:
            self._arrived.clear()
            data = self._intake.take()
            if not data:
                if self._ended:
                    return
                await self._arrived.wait()
                continue
            try:
                await asyncio.wait_for(encoder.write(data), STALL_SECONDS)
            except TimeoutError as error:
                raise EncoderError("the encoder takes no data") from error
            if loop.time() - self._last_output > STALL_SECONDS:
                raise EncoderError(f"the encoder gives no output: {encoder.last_words}")


def _sheddable(rungs: Sequence[EncodedRung]) -> int:
    """How many rungs may be given up: encoded ones, and never the smallest."""
    return max(0, sum(not rung.copied for rung in rungs) - 1)


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The pieces of the body; a lost connection or a long silence ends it."""
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                data = await anext(pieces)
        except (StopAsyncIteration, ClientDisconnect, TimeoutError):
            return
        if data:
            yield data
