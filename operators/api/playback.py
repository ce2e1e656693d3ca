"""How viewers reach the streams of a Channel: visibility, tokens, protection, countries and delivery."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from operators.api.base import Duration, Model, ObjectName, Ref, map_list, rules, set_list


class Visibility(StrEnum):
    """Who may find and watch: everybody, everybody with the link, or holders of a token."""

    PUBLIC = "Public"
    UNLISTED = "Unlisted"
    PRIVATE = "Private"


class TokenMode(StrEnum):
    """Whether playback needs a token; a bound one works only where it was given out."""

    NONE = "None"
    SIGNED = "Signed"
    SIGNED_BOUND = "SignedBound"


class Binding(StrEnum):
    """What a bound token is bound to."""

    IP = "IP"
    SESSION = "Session"
    USER_AGENT = "UserAgent"


class PlaybackToken(Model):
    """Tokens of playback and the rotation of the keys that sign them."""

    mode: TokenMode = TokenMode.NONE
    ttl: Duration = "5m"
    bind_to: Annotated[tuple[Binding, ...], set_list(3)] = ()
    key_rotation: Duration = Field("24h", description="Two signing keys are active: the present and the last one.")


class DrmSystem(StrEnum):
    """A content protection system."""

    CLEAR_KEY = "ClearKey"
    WIDEVINE = "Widevine"
    FAIR_PLAY = "FairPlay"
    PLAY_READY = "PlayReady"


class Drm(Model):
    """Encryption of the media and who gives licences."""

    systems: Annotated[tuple[DrmSystem, ...], set_list(4)] = ()
    key_server_ref: Ref | None = None
    license_policy_ref: Ref | None = None


class GeoMode(StrEnum):
    """Whether `countries` are the only ones or the excluded ones."""

    ALLOW = "Allow"
    DENY = "Deny"


class Geo(Model):
    """Countries (ISO 3166-1 alpha-2) that may or may not watch; an empty list restricts nothing."""

    mode: GeoMode = GeoMode.DENY
    countries: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$", max_length=2)], ...], set_list(250)] = ()


class Playback(Model):
    """How the streams may be watched."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            (
                "self.visibility != 'Private' || self.token.mode != 'None'",
                "a Private channel needs playback tokens: set playback.token.mode to Signed or SignedBound",
            ),
        )
    }

    visibility: Visibility = Visibility.PUBLIC
    token: PlaybackToken = Field(default_factory=PlaybackToken)
    drm: Drm = Field(default_factory=Drm)
    geo: Geo = Field(default_factory=Geo)
    allowed_origins: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...],
        set_list(32, description="Web origins that may embed the player; empty: all."),
    ] = ()


class DeliveryStrategy(StrEnum):
    """How viewers are spread over the providers."""

    WEIGHTED = "Weighted"
    FAILOVER = "Failover"
    LATENCY = "Latency"


class CdnRole(StrEnum):
    """Whether a provider carries traffic all the time or only when the primary ones are ill."""

    PRIMARY = "Primary"
    FAILOVER = "Failover"


class CdnUse(Model):
    """A content delivery network of the platform configuration."""

    provider: ObjectName
    weight: int = Field(100, ge=0, le=100)
    role: CdnRole = CdnRole.PRIMARY
    regions: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=32)], ...], set_list(32)] = ()


class GatewayRef(Model):
    """A Gateway (gateway.networking.k8s.io) that carries the channel's routes."""

    name: ObjectName
    namespace: ObjectName | None = None
    section_name: str = Field("", max_length=253)


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


class Delivery(Model):
    """Host name, gateway and providers of the channel's public address."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            (
                "size(self.cdns) == 0 || self.cdns.exists(c, c.weight > 0)",
                "at least one of delivery.cdns needs a weight above 0",
            ),
        )
    }

    hostname: str = Field("", max_length=253, pattern=rf"^({_LABEL}(\.{_LABEL})*)?$")
    gateway_ref: GatewayRef | None = None
    strategy: DeliveryStrategy = DeliveryStrategy.WEIGHTED
    cdns: Annotated[tuple[CdnUse, ...], map_list("provider", 8)] = ()
    redirect_ttl: Duration = Field("30s", alias="redirectTTL")
