"""Who asks, as far as access is concerned, read from a request; free of IO.

The trap is `X-Forwarded-For`: everybody can send it. It is followed from its right end, and only while the one who
reports is a proxy that we trust.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from workloads.common.access.tokens import MAX_TOKEN_BYTES
from workloads.common.bearer import bearer_token

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
COOKIE = "haat_playback"
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_MAX_HOPS = 16


@dataclass(frozen=True, slots=True)
class Viewer:
    """What a request shows of its sender. `token` came in the query, or in a cookie (`from_cookie`), `bearer` in a
    header; `has_cookie` tells that the sender keeps cookies."""

    address: str
    user_agent: str = ""
    origin: str = ""
    referer: str = ""
    host: str = ""
    token: str = ""
    bearer: str = ""
    from_cookie: bool = False
    has_cookie: bool = False
    as_country: str = ""


def read_viewer(peer: str, header: Callable[[str], str], query: str, trusted: Sequence[Network]) -> Viewer:
    """The viewer of a request; `header` gives a header's value by its lower-case name, empty when there is none."""
    values = parse_qs(query, max_num_fields=64) if "token=" in query or "as_country=" in query else {}
    given, kept = values.get("token", [""])[-1], cookie_token(header("cookie"))
    country = values.get("as_country", [""])[-1]
    return Viewer(
        address=client_address(peer, header("x-forwarded-for"), trusted),
        user_agent=header("user-agent"),
        origin=header("origin"),
        referer=header("referer"),
        host=header("host"),
        token=given or kept,
        bearer=bearer_token(header("authorization")),
        from_cookie=bool(kept and not given),
        has_cookie=bool(kept),
        as_country=country.upper() if _COUNTRY.fullmatch(country) else "",
    )


def cookie_token(cookies: str) -> str:
    """The playback token among a request's cookies; empty when there is none."""
    if COOKIE not in cookies:
        return ""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel and len(morsel.value) <= MAX_TOKEN_BYTES else ""


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Address of the client: the last one of the chain that is no proxy of ours."""
    address = peer
    hops = [hop.strip() for hop in forwarded_for.split(",")[-_MAX_HOPS:]] if forwarded_for else []
    while hops and is_trusted(address, trusted):
        hop = _without_port(hops.pop())
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            break
        address = hop
    return address


def is_trusted(address: str, trusted: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in trusted)


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
