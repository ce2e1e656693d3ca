"""`python -m hack.devcluster.node`: controllers, agent and proxies of one cluster."""

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from hack.devcluster.node.main import Options, StartError, run

_PR_SET_PDEATHSIG = 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hack.devcluster.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="administrator's kubeconfig")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder for volumes, logs and claims")
    parser.add_argument("--checkout", type=Path, required=True, help="root of the checkout that haat/* images run from")
    parser.add_argument("--ingress-port", type=int, required=True, help="HTTP port of the Ingress proxy")
    parser.add_argument("--ingress-bind", default="127.0.0.1", help="its address")
    parser.add_argument("--node-bind", default="127.0.0.1", help="address of NodePort and LoadBalancer Services")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when the starting process ends")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(arguments)


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def main() -> int:
    options = _parse(sys.argv[1:])
    if options.die_with_parent:
        _die_with_parent(os.getppid())
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    try:
        _run_loop(
            Options(
                kubeconfig=options.kubeconfig,
                state_dir=options.state_dir,
                checkout=options.checkout,
                ingress_port=options.ingress_port,
                ingress_bind=options.ingress_bind,
                node_bind=options.node_bind,
            )
        )
    except StartError as error:
        logging.getLogger("hack.devcluster.node").error("%s", error)
        return 1
    return 0


def _run_loop(options: Options) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(run(options))
    else:
        uvloop.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
