"""`kubectl exec` over WebSocket: the channel.k8s.io subprotocols, versions 4 and 5.

Each binary frame starts with its channel: 0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 terminal size; 255
closes another channel (version 5). Trap avoided: the exit must be told after the last byte of output, so both pipes
are read to their end first. Source: k8s.io/apimachinery/pkg/util/remotecommand.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import struct
import termios
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from hack.devcluster.node.launch import LaunchPlan
from hack.devcluster.node.process import Process, spawn
from hack.devcluster.objects import Obj

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_BLOCK = 32_768


def final_status(code: int) -> Obj:
    """The Status that tells the exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def terminal_size(payload: bytes) -> bytes | None:
    """A resize message as the kernel's winsize, None when malformed."""
    try:
        size = json.loads(payload)
        return struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
    except (ValueError, KeyError, TypeError, struct.error):
        return None


class ExecSession:
    """One command of one client."""

    def __init__(self, socket: web.WebSocketResponse, plan: LaunchPlan, command: Sequence[str], *, tty: bool) -> None:
        self._socket = socket
        self._plan = plan
        self._command = [plan.rewriter.text(word) for word in command]
        self._tty = tty
        self._input = -1
        self._outputs: list[tuple[int, int]] = []
        """(descriptor, channel)."""

    async def run(self) -> None:
        """Until the command ends or the client leaves."""
        try:
            process = self._start()
        except OSError as error:
            await self._send(ERROR, json.dumps({**final_status(126), "message": str(error)}).encode())
            return
        reading = asyncio.create_task(self._from_client(process))
        try:
            await asyncio.gather(*(self._copy(descriptor, channel) for descriptor, channel in self._outputs))
            code = await process.exited
            await self._send(ERROR, json.dumps(final_status(code)).encode())
        except ConnectionError:
            pass
        finally:
            process.kill()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            self._close_input()

    def _start(self) -> Process:
        if self._tty:
            master, slave = os.openpty()
            try:
                return self._spawn(slave, slave, slave)
            finally:
                os.close(slave)
                self._input, self._outputs = master, [(os.dup(master), STDOUT)]
        stdin, self._input = os.pipe()
        out_read, out_write = os.pipe()
        error_read, error_write = os.pipe()
        self._outputs = [(out_read, STDOUT), (error_read, STDERR)]
        try:
            return self._spawn(stdin, out_write, error_write)
        finally:
            for descriptor in (stdin, out_write, error_write):
                os.close(descriptor)

    def _spawn(self, stdin: int, output: int, errors: int) -> Process:
        environment = {**self._plan.environment, **({"TERM": "xterm"} if self._tty else {})}
        return spawn(
            self._command, environment=environment, folder=self._plan.folder, output=output, stdin=stdin, errors=errors
        )

    async def _copy(self, descriptor: int, channel: int) -> None:
        """From a pipe to the client, until its end (a terminal ends with an error)."""
        loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        try:
            while True:
                try:
                    block = os.read(descriptor, _BLOCK)
                except BlockingIOError:
                    await _readable(loop, descriptor)
                    continue
                except OSError:
                    return
                if not block:
                    return
                await self._send(channel, block)
        finally:
            os.close(descriptor)

    async def _from_client(self, process: Process) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, payload = message.data[0], message.data[1:]
            if channel == STDIN and self._input >= 0:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(os.write, self._input, payload)
            elif channel == RESIZE and self._tty and (size := terminal_size(payload)) is not None:
                with contextlib.suppress(OSError):
                    fcntl.ioctl(self._input, termios.TIOCSWINSZ, size)
            elif channel == CLOSE and payload[:1] == bytes([STDIN]):
                self._close_input()
        process.kill()

    def _close_input(self) -> None:
        if self._input >= 0:
            descriptor, self._input = self._input, -1
            os.close(descriptor)

    async def _send(self, channel: int, payload: bytes) -> None:
        await self._socket.send_bytes(bytes([channel]) + payload)


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _readable(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
