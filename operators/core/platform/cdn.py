"""CDNProvider: the networks that a channel may name in delivery.cdns."""

from enum import StrEnum

from pydantic import Field

from operators.api.base import Duration, ObjectName
from operators.core.platform.part import Part


class CdnDriver(StrEnum):
    """How a provider is addressed."""

    STATIC = "Static"
    HTTP = "Http"
    AKAMAI = "Akamai"
    CLOUDFLARE = "Cloudflare"
    FASTLY = "Fastly"


class SecretName(Part):
    """A Secret of the platform's namespace."""

    name: ObjectName


class CdnHealthCheck(Part):
    """How a provider is probed."""

    path: str = "/healthz"
    interval: Duration = "10s"
    timeout: Duration = "2s"


class CdnProvider(Part):
    """CDNProvider: a network that a channel may name in delivery.cdns."""

    driver: CdnDriver
    base_url: str = Field("", max_length=2048, pattern=r"^(https?://[^\s]+)?$")
    credentials_secret_ref: SecretName | None = None
    health_check: CdnHealthCheck = CdnHealthCheck()
    purge: bool = False
    token_scheme: str = Field("None", pattern=r"^(None|Haat|Akamai|Cloudflare)$")
