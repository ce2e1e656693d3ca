"""Entry point: `python -m hack.testsource --url rtmp://host/live/<stream key>`."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence

import imageio_ffmpeg

from hack.testsource import barcode
from hack.testsource.publisher import Picture, Publisher


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Command line, with the URL from RTMP_URL as its default."""
    parser = argparse.ArgumentParser(prog="hack.testsource", description="Publish a moving picture with a clock in it.")
    parser.add_argument("--url", default=os.environ.get("RTMP_URL", ""), help="rtmp://host:port/live/<stream key>")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--video-kbps", type=int, default=3000)
    parser.add_argument("--portrait", action="store_true", help="swap width and height")
    parser.add_argument("--describe-barcode", action="store_true", help="print the barcode's layout as JSON and exit")
    options = parser.parse_args(arguments)
    if not options.url and not options.describe_barcode:
        parser.error("--url or RTMP_URL is needed")
    return options


async def publish(options: argparse.Namespace) -> None:
    """Publish until SIGTERM or SIGINT."""
    width, height = sorted((options.width, options.height), reverse=not options.portrait)
    picture = Picture(width, height, options.fps, options.video_kbps)
    publisher = Publisher(os.environ.get("HAAT_FFMPEG") or imageio_ffmpeg.get_ffmpeg_exe(), options.url, picture)
    running = asyncio.create_task(publisher.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def main() -> None:
    """Parse the command line and publish."""
    options = parse(sys.argv[1:])
    if options.describe_barcode:
        sys.stdout.write(json.dumps(barcode.description(), indent=2) + "\n")
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(publish(options))


if __name__ == "__main__":
    main()
