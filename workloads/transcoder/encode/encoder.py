"""One running ffmpeg: FLV in on its standard input, renditions out on a pipe each.

It is replaced, never repaired: `exited` is done when the process ended for whatever reason, and the last lines of its
standard error tell why. Output callbacks run on the event loop.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
from collections import deque
from collections.abc import Callable

from workloads.common.cmaf.boxes import BoxError
from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init
from workloads.transcoder.encode.command import EncodePlan, build

FLUSH_TIMEOUT_SECONDS = 2.0
_PIPE_BYTES = 1024 * 1024
_STDERR_LINES = 20
_STDIN_HIGH_WATER_BYTES = 1024 * 1024

logger = logging.getLogger(__name__)

Sink = Callable[[str, Init | Fragment], None]


class EncoderError(Exception):
    """The encoder does not run any more; the message holds its last words."""


class Encoder:
    """Made by `start`; ended by `finish` (in order) or `kill`."""

    def __init__(self, process: asyncio.subprocess.Process, sink: Sink) -> None:
        self._process = process
        self._sink = sink
        self._readers: list[asyncio.ReadTransport] = []
        self._open_outputs: set[str] = set()
        self._outputs_ended = asyncio.Event()
        self._words: deque[str] = deque(maxlen=_STDERR_LINES)
        self._listening = asyncio.create_task(self._listen())
        self.exited = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, ffmpeg: str, plan: EncodePlan, sink: Sink, *, memory_bytes: int = 0) -> "Encoder":
        """Start the process; `sink` gets the rendition's name with every init segment and fragment.

        With `memory_bytes` its allocations fail beyond that: it ends alone, before the pod's limit ends everybody.
        """
        pipes = {name: os.pipe() for name in plan.names}
        try:
            process = await asyncio.create_subprocess_exec(
                *build(ffmpeg, plan, {name: write for name, (_, write) in pipes.items()}),
                stdin=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[write for _, write in pipes.values()],
            )
        except OSError as error:
            for read, write in pipes.values():
                os.close(read)
                os.close(write)
            raise EncoderError(f"{ffmpeg} cannot be started: {error}") from error
        if memory_bytes:
            # After the start and not before the exec: code between fork and exec is unsafe beside threads.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        encoder = cls(process, sink)
        for name, (read, write) in pipes.items():
            os.close(write)
            await encoder._read(name, read)
        if process.stdin:
            process.stdin.transport.set_write_buffer_limits(high=_STDIN_HIGH_WATER_BYTES)
        return encoder

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        return " | ".join(self._words)

    async def write(self, data: bytes) -> None:
        """Feed FLV; waits while the encoder is behind. EncoderError when it is gone."""
        stdin = self._process.stdin
        if stdin is None or self.exited.done():
            raise EncoderError(self._obituary())
        try:
            stdin.write(data)
            await stdin.drain()
        except OSError as error:
            raise EncoderError(self._obituary()) from error

    async def finish(self) -> None:
        """Close its input, take what it still gives, and end it."""
        if self._process.stdin:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._outputs_ended.wait(), FLUSH_TIMEOUT_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End it now."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self.exited
        for transport in self._readers:
            transport.close()
        await self._listening

    def _obituary(self) -> str:
        return f"encoder ended with {self._process.returncode}: {self.last_words or 'no message'}"

    async def _read(self, name: str, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._open_outputs.add(name)
        stream = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Output(self, name), stream)
        self._readers.append(transport)

    def _received(self, name: str, items: list[Init | Fragment]) -> None:
        for item in items:
            self._sink(name, item)

    def _output_ended(self, name: str) -> None:
        self._open_outputs.discard(name)
        if not self._open_outputs:
            self._outputs_ended.set()

    async def _listen(self) -> None:
        if self._process.stderr is None:
            return
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:
                continue  # a line longer than the buffer: its head is lost, the next ones count
            if not line:
                return
            self._words.append(line.decode("utf-8", "replace").strip())


class _Output(asyncio.Protocol):
    """Cuts one pipe into init segments and fragments."""

    def __init__(self, encoder: Encoder, name: str) -> None:
        self._encoder = encoder
        self._name = name
        self._fragments = FragmentReader()

    def data_received(self, data: bytes) -> None:
        """Hand on what the bytes complete."""
        try:
            self._encoder._received(self._name, list(self._fragments.feed(data)))
        except BoxError as error:
            logger.error("encoder output is broken: %s", error, extra={"rendition": self._name})
            self._encoder._process.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """The pipe's end."""
        self._encoder._output_ended(self._name)
