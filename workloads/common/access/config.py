"""Settings of containers that decide who may watch."""

import ipaddress
from pathlib import Path

from pydantic import field_validator

from workloads.common.access.viewer import Network
from workloads.common.settings import Settings


class AccessSettings(Settings):
    """`trusted_proxies`: comma-separated networks whose `X-Forwarded-For` is believed. `geo_files`: comma-separated
    files of countries (see `countries`)."""

    trusted_proxies: str = "127.0.0.0/8,::1/128"
    geo_files: str = "/usr/share/tor/geoip,/usr/share/tor/geoip6"

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks."""
        return parse_networks(self.trusted_proxies)

    @property
    def country_files(self) -> tuple[Path, ...]:
        """The files that are to be read."""
        return tuple(Path(item.strip()) for item in self.geo_files.split(",") if item.strip())


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list; ValueError when one is none."""
    return tuple(ipaddress.ip_network(item.strip(), strict=False) for item in text.split(",") if item.strip())
