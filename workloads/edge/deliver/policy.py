"""What a path under `/hls/` is, what may be kept of it and for how long; free of IO.

Only known names reach an origin, and only known query parameters make two requests different: a viewer can neither
probe an origin nor fill the cache with variations of one thing.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, urlencode

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_PATH = re.compile(
    rf"/hls/(?P<stream>{_NAME}/{_NAME})/"
    r"(?:(?P<master>master\.m3u8)|(?P<dash>manifest\.mpd)|(?P<rung>[a-z0-9][a-z0-9-]{0,30})/"
    r"(?:(?P<media>media\.m3u8)|(?P<init>init\.mp4)|(?P<text>[0-9]{1,15}\.vtt)|(?P<msn>[0-9]{1,15})(?:\.(?P<part>[0-9]{1,5}))?\.m4s))"
)
_STREAM = re.compile(rf"{_NAME}/{_NAME}")
_DIRECTIVE = re.compile(r"[0-9]{1,15}")
_VERSION = re.compile(r"[0-9a-f]{1,64}")

ERROR_SECONDS = 0.25
_IMMUTABLE = "public, max-age=3600, immutable"


class Kind(StrEnum):
    """What a path names."""

    MASTER = "master"
    DASH = "dash"
    PLAYLIST = "playlist"
    BLOCKING_PLAYLIST = "blocking_playlist"
    INIT = "init"
    SEGMENT = "segment"
    PART = "part"
    CAPTIONS = "captions"


@dataclass(frozen=True, slots=True)
class Target:
    """One cacheable thing: `path` (with its query) is what the origin is asked for and the cache's key.

    `fresh_seconds` is how long this process may give the same bytes; `cache_control` is what others are told.
    """

    stream: str
    kind: Kind
    path: str
    fresh_seconds: float
    cache_control: str


_FRESHNESS = {
    # A playlist without directives is what a player begins with: old ones cost latency, so it is only coalesced.
    Kind.PLAYLIST: (0.1, "public, max-age=0, s-maxage=1"),
    Kind.MASTER: (1.0, "public, max-age=1"),
    Kind.DASH: (1.0, "public, max-age=1"),
    # An answer to one (segment, part) stays a right answer; a late viewer catches up with the next one.
    Kind.BLOCKING_PLAYLIST: (2.0, "public, max-age=1"),
    Kind.SEGMENT: (300.0, _IMMUTABLE),
    Kind.PART: (60.0, _IMMUTABLE),
    Kind.CAPTIONS: (60.0, _IMMUTABLE),
}


def is_stream_id(text: str) -> bool:
    """Whether it is `<namespace>/<name>`."""
    return _STREAM.fullmatch(text) is not None


def classify(path: str, query: str) -> Target | None:
    """The target of a request, or None when there is no such thing."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    values = {key: items[-1] for key, items in parse_qs(query).items()} if query else {}
    if match["init"]:
        version = values.get("v", "")
        known = bool(_VERSION.fullmatch(version))
        suffix = f"?v={version}" if known else ""
        fresh, control = (3600.0, _IMMUTABLE) if known else (0.5, "no-store")
        return Target(match["stream"], Kind.INIT, path + suffix, fresh, control)
    if match["media"]:
        directives = _directives(values)
        kind = Kind.BLOCKING_PLAYLIST if "_HLS_msn" in directives else Kind.PLAYLIST
        suffix = f"?{urlencode(directives)}" if directives else ""
    else:
        kind = _kind(match)
        suffix = ""
    fresh, control = _FRESHNESS[kind]
    return Target(match["stream"], kind, path + suffix, fresh, control)


def _kind(match: re.Match[str]) -> Kind:
    if match["master"]:
        return Kind.MASTER
    if match["dash"]:
        return Kind.DASH
    if match["text"]:
        return Kind.CAPTIONS
    return Kind.PART if match["part"] else Kind.SEGMENT


def _directives(values: dict[str, str]) -> dict[str, str]:
    """Delivery directives in one order, so that equal requests have equal keys."""
    found = {}
    for name in ("_HLS_msn", "_HLS_part"):
        value = values.get(name)
        if value is not None:
            # A malformed number goes to the origin as a word of ours: it answers 400 and names the field.
            found[name] = str(int(value)) if _DIRECTIVE.fullmatch(value) else "invalid"
    if values.get("_HLS_skip") in ("YES", "v2"):
        found["_HLS_skip"] = "YES"
    return found
