"""Settings of commerce."""

from workloads.common.settings import Settings


class CommerceSettings(Settings):
    """Both processes need the ledger; only the api verifies tokens."""

    database_url: str
