"""What a viewer is answered, as status, headers and body; free of IO.

`Dress` is what differs between viewers of one thing: whether shared caches may keep it, and which page may read it.
"""

from dataclasses import dataclass
from gzip import decompress
from urllib.parse import urlencode

from workloads.common.access.gate import Grant
from workloads.common.access.viewer import COOKIE, Viewer
from workloads.common.problem import Problem
from workloads.edge.deliver.cache import Entry
from workloads.edge.deliver.policy import Kind, Target
from workloads.edge.deliver.rewrite import manifest_with_query, with_query
from workloads.edge.limit.bandwidth import cap_master

Header = tuple[bytes, bytes]
Answer = tuple[int, list[Header], bytes]

PLAYLISTS = frozenset((Kind.MASTER, Kind.DASH, Kind.PLAYLIST, Kind.BLOCKING_PLAYLIST))
ENTRANCES = frozenset((Kind.MASTER, Kind.DASH))
MIN_GZIP_BYTES = 400
_ALWAYS: list[Header] = [(b"timing-allow-origin", b"*"), (b"x-content-type-options", b"nosniff")]
_PREFLIGHT: list[Header] = [
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Range, CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status"),
    (b"access-control-max-age", b"86400"),
    (b"cache-control", b"no-store"),
    (b"content-length", b"0"),
]


@dataclass(frozen=True, slots=True)
class Dress:
    """`private`: only the viewer itself may keep the answer. `origin`: the page that may read it, empty for any."""

    private: bool = False
    origin: str = ""

    @property
    def cors(self) -> list[Header]:
        """Headers that say which page may read the answer."""
        if not self.private and not self.origin:
            return [(b"access-control-allow-origin", b"*")]
        if not self.origin:
            return [(b"access-control-allow-origin", b"*"), (b"vary", b"origin")]
        return [
            (b"access-control-allow-origin", self.origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]


PUBLIC = Dress()


def dress_of(grant: Grant, viewer: Viewer) -> Dress:
    """The dress of a viewer's answers."""
    return Dress(True, viewer.origin) if grant.rules.restricted else PUBLIC


def carried_query(viewer: Viewer, grant: Grant) -> bytes:
    """What a playlist's addresses must carry for this viewer; empty for one that keeps the cookie or sends a header."""
    if not grant.rules.restricted:
        return b""
    carried = {}
    if viewer.token and not viewer.has_cookie:
        carried["token"] = viewer.token
    if viewer.as_country:
        carried["as_country"] = viewer.as_country
    return urlencode(carried).encode()


def answer(target: Target, entry: Entry, dress: Dress, *, gzip: bool, query: bytes = b"") -> Answer:
    """The answer to a target; `query` is put behind a playlist's addresses."""
    control = target.cache_control if entry.status == 200 else "no-store"
    if dress.private:
        control = control.replace("public", "private").replace(", s-maxage=1", "")
    headers = [(b"content-type", entry.content_type.encode("latin-1")), (b"cache-control", control.encode()), *_ALWAYS]
    headers += dress.cors
    body = entry.body
    if target.kind in PLAYLISTS:
        headers.append((b"vary", b"accept-encoding"))
        if query and entry.status == 200:
            body = manifest_with_query(body, query) if target.kind == Kind.DASH else with_query(body, query)
        elif gzip and len(body) >= MIN_GZIP_BYTES:
            body = entry.compressed()
            headers.append((b"content-encoding", b"gzip"))
    if entry.status == 503:
        headers.append((b"retry-after", b"1"))
    headers.append((b"content-length", b"%d" % len(body)))
    return entry.status, headers, body


def capped(found: Answer, bits_per_second: int) -> Answer:
    """A master playlist without the rungs that are too much; one that is compressed is made anew."""
    status, headers, body = found
    if status != 200:
        return found
    if (b"content-encoding", b"gzip") in headers:
        body = decompress(body)
    body = cap_master(body, bits_per_second)
    kept = [item for item in headers if item[0] not in (b"content-length", b"content-encoding")]
    return status, [*kept, (b"content-length", b"%d" % len(body))], body


def refusal(problem: Problem, origin: str) -> Answer:
    """A problem as an answer that the asking page may read."""
    response = problem.response()
    headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    headers += [(b"cache-control", b"no-store"), *_ALWAYS, *Dress(bool(origin), origin).cors]
    if problem.status == 405:
        headers.append((b"allow", b"GET, HEAD, OPTIONS"))
    body = bytes(response.body)
    headers.append((b"content-length", b"%d" % len(body)))
    return problem.status, headers, body


def preflight(origin: str) -> Answer:
    """The answer to a page that asks whether it may ask."""
    return 204, [*_PREFLIGHT, *Dress(bool(origin), origin).cors], b""


def cookie(grant: Grant, now: float, *, secure: bool, root: str = "hls") -> Header:
    """The cookie that keeps a token for the stream's paths below `/<root>`; `now` in epoch seconds."""
    age = max(0, int(grant.expires_at - now))
    same_site = "None; Secure; Partitioned" if secure else "Lax"
    value = f"{COOKIE}={grant.cookie}; Path=/{root}/{grant.stream}; Max-Age={age}; HttpOnly; SameSite={same_site}"
    return b"set-cookie", value.encode("latin-1")
