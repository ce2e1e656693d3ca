"""`/healthz`, `/readyz` and `/metrics` of the operators."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


class Health:
    """What the probes ask: `synced` is set once the indices are filled and this replica works or stands by."""

    def __init__(self) -> None:
        self.synced = False


async def serve(health: Health, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response(
            {"status": "ok" if health.synced else "starting"}, status=200 if health.synced else 503
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    routes = {"/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/operators/metrics": metrics}
    app.add_routes([web.get(route, handler) for route, handler in routes.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        await stop.wait()
    finally:
        await runner.cleanup()
