"""The decision: may this viewer watch this stream now? Pure: rules, viewer, facts and the moment are given."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from workloads.common.access.rules import SIGNED_BOUND, Rules
from workloads.common.access.tokens import (
    PlaybackClaims,
    PlaybackTokenError,
    address_claim,
    check_time,
    user_agent_claim,
)
from workloads.common.access.viewer import Viewer
from workloads.common.problem import Problem

UNKNOWN_COUNTRY = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about the viewer: its country, its token's claims (or what is wrong with it), whether it is a
    host of the stream, and whether its token was taken back."""

    country: str = UNKNOWN_COUNTRY
    claims: PlaybackClaims | None = None
    token_error: PlaybackTokenError | None = None
    is_host: bool = False
    revoked: bool = False


def decide(rules: Rules, stream: str, viewer: Viewer, facts: Facts, now: float) -> None:
    """Return when the viewer may watch; Problem 403, 451 or 503 when not. `now` is in epoch seconds."""
    if rules.closed:
        raise Problem(503, "policy_unknown", "Who may watch is not known now, try again.", retry_after_seconds=2)
    if rules.suspended:
        raise Problem(403, "channel_suspended", "The channel is suspended.")
    if not origin_allowed(rules, viewer):
        raise Problem(403, "origin_not_allowed", "This site may not show the stream.")
    if not country_allowed(rules, facts, viewer):
        raise Problem(451, "country_blocked", "The stream is not shown in your country.")
    if rules.needs_token and not facts.is_host:
        _check_token(rules, stream, viewer, facts, now)


def _check_token(rules: Rules, stream: str, viewer: Viewer, facts: Facts, now: float) -> None:
    try:
        if facts.token_error is not None:
            raise facts.token_error
        if facts.claims is None:
            raise PlaybackTokenError("playback_token_missing", "The stream needs a playback token (?token=).")
        check_time(facts.claims, now)
        if not facts.claims.covers(stream):
            raise PlaybackTokenError("playback_token_other_stream", "The token is for another stream.")
        if facts.revoked:
            raise PlaybackTokenError("playback_token_revoked", "The token has been taken back.")
        _check_binding(rules, viewer, facts.claims)
    except PlaybackTokenError as error:
        raise Problem(403, error.code, str(error)) from error


def _check_binding(rules: Rules, viewer: Viewer, claims: PlaybackClaims) -> None:
    """A claim binds wherever it is; a channel of bound tokens does not take one without."""
    bound = rules.token_mode == SIGNED_BOUND
    if claims.ip or (bound and "IP" in rules.bind_to):
        _same("address", claims.ip, address_claim(viewer.address))
    if claims.ua or (bound and "UserAgent" in rules.bind_to):
        _same("user agent", claims.ua, user_agent_claim(viewer.user_agent))
    if bound and "Session" in rules.bind_to and not claims.jti:
        raise PlaybackTokenError("playback_token_bound", "The token names no session (jti).")


def _same(what: str, claim: str, found: str) -> None:
    if claim != found:
        raise PlaybackTokenError("playback_token_bound", f"The token is bound to another {what}.")


def country_allowed(rules: Rules, facts: Facts, viewer: Viewer) -> bool:
    """An unknown country is none of a list: refused by an Allow list, let through by a Deny list."""
    if not rules.countries:
        return True
    if facts.is_host and not viewer.as_country:
        return True
    country = viewer.as_country if facts.is_host else facts.country
    return (country in rules.countries) == rules.geo_allow


def origin_allowed(rules: Rules, viewer: Viewer) -> bool:
    """Whether the page that asks may show the stream; one that says nothing (a native player) may."""
    if not rules.allowed_origins:
        return True
    asking = viewer.origin if viewer.origin and viewer.origin != "null" else viewer.referer
    if not asking:
        return viewer.origin != "null"
    parts = urlsplit(asking.lower()) if _splits(asking) else None
    if parts is None or not parts.netloc:
        return False
    if viewer.host and parts.netloc == viewer.host.lower():
        return True
    return any(_matches(entry, parts.scheme, parts.netloc) for entry in rules.allowed_origins)


def _splits(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def _matches(entry: str, scheme: str, netloc: str) -> bool:
    """`https://shop.example`, `shop.example` (any scheme) or `https://*.shop.example` (its subdomains)."""
    wanted_scheme, separator, wanted = entry.rpartition("://")
    if separator and wanted_scheme != scheme:
        return False
    if wanted == "*":
        return True
    return netloc.endswith(wanted[1:]) if wanted.startswith("*.") else netloc == wanted
