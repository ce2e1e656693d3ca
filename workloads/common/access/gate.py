"""The gate before playback: looks up a stream's rules and the viewer's token, decides, and remembers for a second.

`haat:streams` names the channel's slug, `haat:channels` has its rules. A stream without a channel is open. A channel
whose entry is missing is closed: it may be private. Signatures are verified once per token.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from redis.asyncio import Redis

from workloads.common.access import rules as access_rules
from workloads.common.access.decision import Facts, decide
from workloads.common.access.revocations import Revocations
from workloads.common.access.rules import OPEN, Rules
from workloads.common.access.tokens import ISSUER, PlaybackClaims, PlaybackTokenError, unverified_issuer, verify
from workloads.common.access.viewer import Viewer
from workloads.common.directory import Directory, DirectoryUnavailable
from workloads.common.origins import KEY as STREAMS_KEY
from workloads.common.problem import Problem
from workloads.common.tokens import TokenError, Verifier

AGAIN_SECONDS = 1.0
MAX_VERIFIED = 20_000


class Countries(Protocol):
    """Where addresses are."""

    def country(self, address: str) -> str:
        """ISO 3166-1 alpha-2 code; empty when it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """A viewer that may watch. It has to ask again after `until` (of the gate's clock).

    `cookie` is a token that came in the query and may be kept by the viewer; `expires_at` its end in epoch seconds.
    """

    stream: str
    rules: Rules
    until: float
    sub: str = ""
    jti: str = ""
    cookie: str = ""
    expires_at: float = 0.0
    is_host: bool = False


class Gate:
    """Decisions about viewers; `revocations` must be run by the owner."""

    def __init__(
        self,
        redis: Redis,
        revocations: Revocations,
        *,
        verifier: Verifier | None = None,
        countries: Countries | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._streams: Directory[str] = Directory(redis, STREAMS_KEY, parse_slug, clock=clock)
        self._channels: Directory[Rules] = Directory(redis, access_rules.KEY, access_rules.parse_rules, clock=clock)
        self.revocations = revocations
        self._verifier = verifier
        self._countries = countries
        self._clock = clock
        self._wall = wall
        self._verified: OrderedDict[tuple[str, str], PlaybackClaims | PlaybackTokenError] = OrderedDict()

    async def admit(self, stream: str, viewer: Viewer) -> Grant:
        """The grant of a viewer; Problem 403, 451 or 503."""
        return self._grant(stream, await self.rules(stream), viewer)

    def admit_known(self, stream: str, viewer: Viewer) -> Grant | None:
        """The same when nothing has to be looked up, else None."""
        slug = self._streams.peek(stream)
        if slug is None:
            return None
        if not slug[0]:
            return self._grant(stream, OPEN, viewer)
        found = self._channels.peek(slug[0])
        return None if found is None else self._grant(stream, _named(slug[0], found[0]), viewer)

    async def rules(self, stream: str) -> Rules:
        """The rules of a stream; of one that nobody knows, none. Problem 503 when nobody can tell."""
        try:
            slug = await self._streams.find(stream)
            return _named(slug, await self._channels.find(slug)) if slug else OPEN
        except DirectoryUnavailable as error:
            detail = "Who may watch is not known now, try again."
            raise Problem(503, "policy_unknown", detail, retry_after_seconds=1) from error

    def _grant(self, stream: str, rules: Rules, viewer: Viewer) -> Grant:
        if rules is OPEN:
            return Grant(stream, OPEN, self._clock() + AGAIN_SECONDS)
        token, facts = self._facts(stream, rules, viewer)
        now = self._wall()
        decide(rules, stream, viewer, facts, now)
        until = self._clock() + AGAIN_SECONDS
        if facts.claims is None:
            return Grant(stream, rules, until, is_host=facts.is_host)
        left = facts.claims.expires_at - now
        return Grant(
            stream,
            rules,
            min(until, self._clock() + max(0.0, left)),
            sub=facts.claims.sub,
            jti=facts.claims.jti,
            cookie=token if token == viewer.token and not viewer.from_cookie else "",
            expires_at=facts.claims.expires_at,
            is_host=facts.is_host,
        )

    def _facts(self, stream: str, rules: Rules, viewer: Viewer) -> tuple[str, Facts]:
        is_host, token = self._is_host(stream, viewer.bearer), viewer.token
        if viewer.bearer and (not token or viewer.from_cookie) and unverified_issuer(viewer.bearer) == ISSUER:
            token = viewer.bearer
        if not is_host and viewer.token and not viewer.from_cookie:
            # A player that can set no header: a host's own token may come as the query's, too.
            is_host = self._is_host(stream, viewer.token)
        needs_country = rules.countries and self._countries is not None and not (is_host and viewer.as_country)
        country = self._countries.country(viewer.address) if needs_country and self._countries else ""
        if not rules.needs_token or is_host or not token:
            return token, Facts(country=country, is_host=is_host)
        found = self._verify(rules, token)
        if isinstance(found, PlaybackTokenError):
            return token, Facts(country=country, token_error=found)
        revoked = self.revocations.covers(stream, found)
        return token, Facts(country=country, claims=found, revoked=revoked)

    def _is_host(self, stream: str, token: str) -> bool:
        if not token or self._verifier is None or unverified_issuer(token) == ISSUER:
            return False
        try:
            return self._verifier.verify(token).is_host_of(stream)
        except TokenError:
            return False

    def _verify(self, rules: Rules, token: str) -> PlaybackClaims | PlaybackTokenError:
        """Claims of a token, remembered while the keys that may sign are the same."""
        key = (f"{rules.slug} {','.join(rules.keys)}", token)
        found = self._verified.get(key)
        if found is None:
            try:
                found = verify(token, rules.keys)
            except PlaybackTokenError as error:
                found = error
            self._verified[key] = found
            if len(self._verified) > MAX_VERIFIED:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(key)
        return found


def _named(slug: str, found: Rules | None) -> Rules:
    return replace(found, slug=slug) if found is not None else Rules(slug=slug, closed=True)


def parse_slug(raw: str) -> str:
    """The channel's slug in a stream's entry; empty when it belongs to none."""
    try:
        slug = json.loads(raw).get("slug", "")
    except (ValueError, AttributeError):
        return ""
    return slug if isinstance(slug, str) else ""
