"""Playlists for players that keep no cookie: each address in them carries the query that the player came with.

Players resolve addresses against the playlist's own and drop its query, so a token in the query would be lost at the
first step. Addresses with a scheme lead elsewhere and get nothing.
"""

import re

_ATTRIBUTE = re.compile(rb'(URI=")([^"\r\n]+)(")')
_LINE = re.compile(rb"(?m)^(?!#)(\S+)[ \t]*$")
_TEMPLATE = re.compile(rb'((?:media|initialization)=")([^"<>]+)(")')
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:|//")


def with_query(playlist: bytes, query: bytes) -> bytes:
    """The playlist with `query` (without its question mark) behind each relative address."""

    def attribute(match: re.Match[bytes]) -> bytes:
        return match[1] + _extend(match[2], query) + match[3]

    marked = _ATTRIBUTE.sub(attribute, playlist)
    return _LINE.sub(lambda match: _extend(match[1], query), marked)


def _extend(address: bytes, query: bytes) -> bytes:
    if _SCHEME.match(address):
        return address
    return address + (b"&" if b"?" in address else b"?") + query


def manifest_with_query(manifest: bytes, query: bytes) -> bytes:
    """The same for a DASH manifest: its segment templates."""
    escaped = query.replace(b"&", b"&amp;")

    def attribute(match: re.Match[bytes]) -> bytes:
        if _SCHEME.match(match[2]):
            return match[0]
        separator = b"&amp;" if b"?" in match[2] else b"?"
        return match[1] + match[2] + separator + escaped.replace(b"$", b"$$") + match[3]

    return _TEMPLATE.sub(attribute, manifest)
