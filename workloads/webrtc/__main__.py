"""Entry point: `python -m workloads.webrtc`."""

import asyncio
import contextlib
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp

from workloads.common import redis, service
from workloads.common.access.countries import CountryFiles
from workloads.common.access.gate import Gate
from workloads.common.access.revocations import Revocations
from workloads.common.health import Readiness
from workloads.common.heartbeat import Heartbeat
from workloads.common.origins import Origins
from workloads.common.publication.routes import Routes
from workloads.common.tokens import Verifier
from workloads.webrtc import app, stream
from workloads.webrtc.access import Access
from workloads.webrtc.config import WebrtcSettings, split_address
from workloads.webrtc.endpoint import Endpoint, field
from workloads.webrtc.ice_servers import IceServers
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.port import open_port
from workloads.webrtc.sessions import Place, Sessions
from workloads.webrtc.whep import Whep
from workloads.webrtc.whip import Whip

_GARBAGE_THRESHOLD = 50_000


def main() -> None:
    """Serve WHEP and WHIP until SIGTERM."""
    settings = WebrtcSettings()
    # What was imported stays for ever; looking through it again and again would take a fifth of a loaded pod's time.
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    service.run(lambda: _serve(settings), settings)


async def _serve(settings: WebrtcSettings) -> None:
    store = redis.connect(settings.redis_url, retries=1)
    beats = redis.connect(settings.redis_url, retries=0)
    client = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18)
    threads = ThreadPoolExecutor(settings.webrtc_sound_threads, thread_name_prefix="sound")
    metrics = Metrics()
    port = open_port(settings.pod_ip, settings.webrtc_udp_port)
    place = Place(*split_address(settings.webrtc_advertise or settings.pod_ip, port.address[1]))
    tools = stream.Tools(client, Origins(store), threads, metrics)
    sessions = Sessions(port, place, tools, metrics, pod=settings.pod_name, max_viewers=settings.webrtc_max_viewers)
    metrics.watch("packets_sent", "Datagrams sent", lambda: float(port.packets_sent))
    metrics.watch("bytes_sent", "Bytes sent", lambda: float(port.bytes_sent))
    metrics.watch("packets_dropped", "Datagrams that the kernel had no room for", lambda: float(port.dropped))
    metrics.watch("packets_unknown", "Datagrams of strangers", lambda: float(port.unknown))
    servers = IceServers(settings.ice_servers, settings.turn_secret, settings.turn_ttl_seconds)
    endpoint = Endpoint(sessions, servers, store, client, metrics)
    whip = Whip(endpoint, Routes(store), threads, metrics, max_publishers=settings.webrtc_max_publishers)

    revocations = Revocations(store)
    verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
    countries = CountryFiles()
    await asyncio.to_thread(countries.load, settings.country_files)
    access = Access(Gate(store, revocations, verifier=verifier, countries=countries), settings.proxies)

    async def drain() -> None:
        sessions.draining = True
        await whip.close()
        await sessions.close()

    readiness = Readiness()
    readiness.started = True
    beat = Heartbeat(beats, field(settings.pod_name), lambda: _beat(settings, sessions))
    jobs = (sessions.run(), beat.run(), revocations.run(), access.run(sessions))
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        http = app.build(endpoint, Whep(endpoint, access), whip, readiness)
        await service.serve(http, settings, readiness, on_drain=drain, proxy_headers=False)
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await drain()
        port.close()
        threads.shutdown(wait=False, cancel_futures=True)
        await client.close()
        await store.aclose()
        await beats.aclose()


def _beat(settings: WebrtcSettings, sessions: Sessions) -> dict[str, Any]:
    host = f"[{settings.pod_ip}]" if ":" in settings.pod_ip else settings.pod_ip
    return {
        "url": f"http://{host}:{settings.listen_port}",
        "viewers": sessions.viewers,
        "draining": sessions.draining,
    }


if __name__ == "__main__":
    main()
