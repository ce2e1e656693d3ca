"""`python -m workloads.identity`."""

from pydantic import SecretStr

from workloads.common import service
from workloads.common.health import Readiness
from workloads.common.settings import Settings
from workloads.common.tokens import Signer
from workloads.identity.app import build_app


class IdentitySettings(Settings):
    """Identity alone holds the signing key."""

    auth_private_key: SecretStr


def main() -> None:
    """Serve until SIGTERM."""
    settings = IdentitySettings()
    readiness = Readiness()
    app = build_app(Signer(settings.auth_private_key.get_secret_value()), readiness)

    async def serve() -> None:
        readiness.started = True
        await service.serve(app, settings, readiness)

    service.run(serve, settings)


if __name__ == "__main__":
    main()
