"""Settings of the webrtc container."""

import ipaddress

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workloads.common.access.config import AccessSettings


class IceServer(BaseModel):
    """One server of `HAAT_ICE_SERVERS`, as browsers write it. TURN without a credential gets an ephemeral one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...] = Field(min_length=1, max_length=8)
    username: str = ""
    credential: str = ""

    @field_validator("urls", mode="before")
    @classmethod
    def _one_is_a_list(cls, urls: object) -> object:
        return (urls,) if isinstance(urls, str) else urls

    @field_validator("urls")
    @classmethod
    def _are_ice_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            scheme, _, rest = url.partition(":")
            if scheme not in ("stun", "stuns", "turn", "turns") or not rest or any(c in url for c in '<>"; \r\n'):
                raise ValueError(f"{url!r} is no STUN or TURN address")
        return urls


class WebrtcSettings(AccessSettings):
    """Environment of the webrtc container, beside what every container has.

    `webrtc_advertise` is the address (and port) that peers are told, where it is not the pod's own: `ip` or `ip:port`.
    `webrtc_max_viewers` is the limit of one pod.
    """

    webrtc_udp_port: int = Field(8189, ge=0, le=65535)
    webrtc_advertise: str = ""
    webrtc_max_viewers: int = Field(500, ge=1)
    webrtc_max_publishers: int = Field(50, ge=0)
    webrtc_sound_threads: int = Field(2, ge=1, le=64)
    ice_servers: tuple[IceServer, ...] = ()
    turn_secret: str = ""
    turn_ttl_seconds: int = Field(86_400, ge=60)

    @field_validator("webrtc_advertise")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value:
            split_address(value, 0)
        return value


def split_address(value: str, port: int) -> tuple[str, int]:
    """(ip, port) of `ip`, `ip:port` or `[ip6]:port`; ValueError when it is none. `port` is for one without."""
    host, given = value, ""
    if value.startswith("["):
        host, _, rest = value[1:].partition("]")
        given = rest.removeprefix(":")
    elif value.count(":") == 1:
        host, _, given = value.partition(":")
    ipaddress.ip_address(host)
    if given and not (given.isdecimal() and 0 < int(given) < 65536):
        raise ValueError(f"{given!r} is no port")
    return host, int(given) if given else port
