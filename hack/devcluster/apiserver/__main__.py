"""`python -m hack.devcluster.apiserver --state-dir DIR --port N --kubeconfig-out FILE`."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import ipaddress
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from hack.devcluster.apiserver.server import ApiServer, Options

_PR_SET_PDEATHSIG = 1
SWITCH_SECONDS = 0.0005
"""The journal is written by a thread; at Python's default of 5 ms it would hold up every request that meets it."""


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hack.devcluster.apiserver", description="Kubernetes API server of devcluster"
    )
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free port")
    parser.add_argument("--bind", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--kubeconfig-out", type=Path, required=True, help="written when the server is ready")
    parser.add_argument("--service-cidr", default="127.96.0.0/16")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends (Linux)")
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    found = parser.parse_args(argv)
    try:
        if not ipaddress.ip_address(found.bind).is_loopback:
            parser.error("--bind: only loopback addresses: this server holds an admin token and runs processes")
        ipaddress.ip_network(found.service_cidr)
    except ValueError as problem:
        parser.error(str(problem))
    return found


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends; end at once when it has ended already."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        sys.exit(1)


async def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = ApiServer(options)
    try:
        await server.start()
        gc.freeze()
        sys.setswitchinterval(SWITCH_SECONDS)
        await stop.wait()
    finally:
        await server.stop()


def main(argv: list[str] | None = None) -> None:
    """Entry point."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if arguments.die_with_parent:
        die_with_parent()
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = Options(
        state=arguments.state_dir,
        port=arguments.port,
        bind=arguments.bind,
        kubeconfig=arguments.kubeconfig_out,
        service_cidr=arguments.service_cidr,
    )
    uvloop.run(serve(options))


if __name__ == "__main__":
    main()
