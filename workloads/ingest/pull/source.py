"""Which addresses may be pulled, and how ffmpeg is told to; what a tenant names must not reach what only we may reach.

An address is looked up before each try, and one that leads into private networks is refused unless they are allowed.
The hazard that stays: ffmpeg looks the name up again, so a name that changes its address in between gets through; the
cluster's egress policies are the second fence.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from workloads.common.publication.routes import Network

RESOLVE_SECONDS = 3.0
PATIENCE_MICROSECONDS = 5_000_000
PROTOCOLS = {
    "http": "http,https,tcp,tls,crypto",
    "https": "http,https,tcp,tls,crypto",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "srt": "srt,udp",
    "file": "file,crypto",
}
_LIVE = ("rtmp", "rtmps", "srt")


class SourceRefused(ValueError):
    """The address may not be pulled; the text names the reason, and no credentials."""


async def check(uri: str, *, allowed: Sequence[Network], root: Path | None) -> None:
    """SourceRefused for what may not be read; `allowed` are private networks that may, `root` holds files that may."""
    parts = urlsplit(uri)
    if parts.scheme not in PROTOCOLS:
        raise SourceRefused(f"scheme {parts.scheme or 'none'!r} is not pulled; give {', '.join(PROTOCOLS)}")
    if parts.scheme == "file":
        path = PurePosixPath(unquote(parts.path))
        if root is None or ".." in path.parts or not path.is_relative_to(root):
            raise SourceRefused("files are only read below the folder that the platform names")
        return
    if not parts.hostname:
        raise SourceRefused("the address names no host")
    for address in await _addresses(parts.hostname):
        if not address.is_global and not any(address in network for network in allowed):
            raise SourceRefused(f"{parts.hostname} leads to {address}, which is not a public address")


def command(ffmpeg: str, uri: str) -> list[str]:
    """ffmpeg that copies the source as MPEG-TS to its standard output, at the speed at which it is shown."""
    parts = urlsplit(uri)
    live = parts.scheme in _LIVE or parts.path.endswith(".m3u8")
    reading = ["-protocol_whitelist", PROTOCOLS[parts.scheme]]
    if parts.scheme in ("http", "https"):
        reading += ["-rw_timeout", str(PATIENCE_MICROSECONDS)]
    if not live:
        reading += ["-re"]
    address = f"file:{unquote(parts.path)}" if parts.scheme == "file" else uri
    writing = ["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-f", "mpegts", "-muxdelay", "0", "-muxpreload", "0"]
    head = [ffmpeg, "-hide_banner", "-nostats", "-nostdin", "-loglevel", "error"]
    return [*head, *reading, "-i", address, *writing, "-flush_packets", "1", "pipe:1"]


async def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, None, type=socket.SOCK_STREAM), RESOLVE_SECONDS)
    except (OSError, TimeoutError) as error:
        raise SourceRefused(f"{host} cannot be looked up") from error
    return [ipaddress.ip_address(item[4][0]) for item in found]
