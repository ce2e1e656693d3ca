"""Content delivery networks of a channel: their health as it was probed, and the weight that each one carries now."""

from collections.abc import Mapping
from typing import Any

from operators.api import Channel
from operators.api.base import seconds
from operators.api.channel import CdnStatus
from operators.api.playback import CdnRole, CdnUse, DeliveryStrategy
from operators.channel.observe import CdnProbe
from operators.core.conditions import Fact
from operators.core.platform import Platform
from operators.core.times import rfc3339


def effective_weights(channel: Channel, probes: Mapping[str, CdnProbe]) -> dict[str, int]:
    """Weight by provider. Failover providers carry traffic only while no primary one can; when all are ill the
    primary ones keep it, because an ill provider is better than none."""
    uses = channel.spec.delivery.cdns
    well = [use for use in uses if not _ill(use, probes)]
    primary = [use for use in uses if use.role == CdnRole.PRIMARY and use.weight > 0]
    chosen = (
        [use for use in well if use in primary]
        or [use for use in well if use.role == CdnRole.FAILOVER]
        or primary
        or list(uses)
    )
    if channel.spec.delivery.strategy == DeliveryStrategy.FAILOVER and chosen:
        chosen = [max(chosen, key=lambda use: use.weight)]
    return {use.provider: max(use.weight, 1) if use in chosen else 0 for use in uses}


def cdn_status(channel: Channel, probes: Mapping[str, CdnProbe]) -> list[CdnStatus]:
    """Providers for the status. `checkedAt` is the probe that changed the health, so that probes write nothing."""
    before = {item.provider: item for item in channel.status.cdns}
    weights = effective_weights(channel, probes)
    result = []
    for use in channel.spec.delivery.cdns:
        probe, known = probes.get(use.provider), before.get(use.provider)
        kept = probe is not None and known is not None and known.healthy == probe.healthy and known.checked_at
        result.append(
            CdnStatus(
                provider=use.provider,
                healthy=probe.healthy if probe else None,
                effective_weight=weights[use.provider],
                checked_at=(known.checked_at if known and kept else rfc3339(probe.at)) if probe else None,
            )
        )
    return result


def cdn_health(channel: Channel, probes: Mapping[str, CdnProbe]) -> Fact | None:
    """The condition `CDNHealthy`; None for a channel without providers."""
    uses = channel.spec.delivery.cdns
    if not uses:
        return None
    ill = [use.provider for use in uses if _ill(use, probes)]
    if ill:
        message = f"The edge cannot reach {', '.join(sorted(ill))}; traffic goes to the others while there are any."
        return Fact("CDNHealthy", False, "ProviderUnhealthy", message)
    unknown = [use.provider for use in uses if use.provider not in probes]
    if unknown:
        return Fact("CDNHealthy", None, "NotProbed", f"No probe of the last minute: {', '.join(sorted(unknown))}.")
    return Fact("CDNHealthy", True, "ProvidersHealthy")


def delivery_document(channel: Channel, platform: Platform, weights: Mapping[str, int] | None) -> dict[str, Any]:
    """Delivery as channel.json gives it, or with `weights` as the publication does."""
    cdns = []
    for use in channel.spec.delivery.cdns:
        provider = platform.cdn_providers.get(use.provider)
        cdns.append(
            {
                "provider": use.provider,
                "weight": use.weight if weights is None else weights[use.provider],
                "role": use.role.value,
                "regions": sorted(use.regions),
                "driver": provider.driver.value if provider else "",
                "base_url": provider.base_url if provider else "",
                "token_scheme": provider.token_scheme if provider else "None",
            }
        )
    delivery = channel.spec.delivery
    return {
        "hostname": delivery.hostname,
        "strategy": delivery.strategy.value,
        "redirect_ttl_seconds": seconds(delivery.redirect_ttl),
        "cdns": cdns,
    }


def _ill(use: CdnUse, probes: Mapping[str, CdnProbe]) -> bool:
    probe = probes.get(use.provider)
    return probe is not None and not probe.healthy
