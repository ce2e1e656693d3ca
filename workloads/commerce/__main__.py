"""`python -m workloads.commerce api|committer|migrate|audit`."""

import asyncio
import sys

import httpx
from starlette.applications import Starlette

from workloads.commerce.settings import CommerceSettings
from workloads.common import health, logs, service
from workloads.common.postgres import connect as connect_postgres
from workloads.common.redis import connect, connect_listener


async def run_api(settings: CommerceSettings) -> None:
    """The HTTP interface."""
    from workloads.commerce.api.app import build_app
    from workloads.commerce.api.context import ApiContext
    from workloads.commerce.migrate import migrate
    from workloads.commerce.payments import TestProvider
    from workloads.common.purchase import Purchases
    from workloads.common.tokens import Verifier

    redis, listener = connect(settings.redis_url), connect_listener(settings.redis_url)
    pool = await connect_postgres(settings.database_url)
    await migrate(settings.database_url)
    purchases = Purchases(redis, settings.pod_name)
    readiness = health.Readiness()
    readiness.started = True
    async with httpx.AsyncClient() as models:
        context = ApiContext(redis, pool, Verifier(settings.auth_jwks), purchases, TestProvider(), models)
        listening = asyncio.create_task(purchases.listen(listener))
        await service.serve(build_app(context, readiness), settings, readiness)
        listening.cancel()
    await pool.close()
    await redis.aclose()
    await listener.aclose()


async def run_committer(settings: CommerceSettings) -> None:
    """Committer, keeper and catalogue in one process, with probes beside them."""
    from workloads.commerce.catalog import CatalogKeeper
    from workloads.commerce.committer import Committer
    from workloads.commerce.keeper import Keeper
    from workloads.commerce.migrate import migrate

    redis, reader, listener = (
        connect(settings.redis_url),
        connect(settings.redis_url, timeout_seconds=5.0),
        connect_listener(settings.redis_url),
    )
    pool = await connect_postgres(settings.database_url)
    await migrate(settings.database_url)
    committer = Committer(redis, reader, pool)
    keeper = Keeper(redis, pool, committer)
    catalogs = CatalogKeeper(redis, pool)
    readiness = health.Readiness()
    readiness.started = True
    app = Starlette(routes=list(health.routes(readiness)))
    work = [committer.run(), keeper.run(), keeper.watch(listener), catalogs.run(listener)]
    tasks = [asyncio.create_task(item) for item in work]
    tasks.append(asyncio.create_task(service.serve(app, settings, readiness)))
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await pool.close()
    for task in done:
        task.result()


async def run_migrate(settings: CommerceSettings) -> None:
    """Bring the database to the newest version."""
    from workloads.commerce.migrate import migrate

    await (await connect_postgres(settings.database_url)).close()
    await migrate(settings.database_url)


async def run_audit(settings: CommerceSettings) -> None:
    """Print what is wrong in the ledger; exit status 1 when something is."""
    from workloads.commerce.audit import findings

    pool = await connect_postgres(settings.database_url)
    found = await findings(pool)
    await pool.close()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.exit(1 if found else 0)


COMMANDS = {"api": run_api, "committer": run_committer, "migrate": run_migrate, "audit": run_audit}


def main() -> None:
    """Run the named part."""
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.stderr.write(f"usage: python -m workloads.commerce {'|'.join(COMMANDS)}\n")
        sys.exit(2)
    settings = CommerceSettings()
    logs.configure(settings.log_level)
    command = COMMANDS[sys.argv[1]]
    service.run(lambda: command(settings), settings)


if __name__ == "__main__":
    main()
