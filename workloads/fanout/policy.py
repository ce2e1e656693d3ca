"""What a connection may cost: slow-consumer thresholds and rates. Pure: clocks come in as arguments.

A slow viewer loses the least important first: ephemeral counts, then chat (which recovery brings back by offset), and
at last the connection. Nothing here waits for anybody.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Bidirectional overrides and isolates turn a sentence around for the reader; joiners stay, Bengali and emoji need them.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


class Lane(Enum):
    """How much a message matters."""

    CRITICAL = "critical"
    CHAT = "chat"
    EPHEMERAL = "ephemeral"


class Verdict(Enum):
    """What to do with a message for a slow connection."""

    SEND = "send"
    DROP = "drop"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class SlowPolicy:
    """Thresholds of the bytes that wait in a connection's transport."""

    drop_ephemeral: int = 64 * 1024
    skip_chat: int = 256 * 1024
    close_bytes: int = 1024 * 1024
    close_seconds: float = 10.0

    def verdict(self, lane: Lane, buffered: int) -> Verdict:
        """For one message while `buffered` bytes wait."""
        if buffered > self.close_bytes:
            return Verdict.CLOSE
        if lane is Lane.CHAT and buffered > self.skip_chat:
            return Verdict.DROP
        if lane is Lane.EPHEMERAL and buffered > self.drop_ephemeral:
            return Verdict.DROP
        return Verdict.SEND

    def is_stuck(self, buffered: int, slow_seconds: float) -> bool:
        """Whether a connection that has been slow for so long is given up."""
        return buffered > self.close_bytes or slow_seconds > self.close_seconds


class TokenBucket:
    """So many a second, with a burst."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> float:
        """0 when allowed, else the seconds until the next one is."""
        if self._at:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class BadText(Exception):
    """The text may not be shown; the message says why."""


def clean_text(text: str, *, max_length: int) -> str:
    """`text` trimmed and in NFC, 1..`max_length` characters; BadText otherwise."""
    cleaned = unicodedata.normalize("NFC", text).strip()
    categories = [unicodedata.category(character) for character in cleaned]
    if any(category in ("Cc", "Cs") for category in categories) or not _BIDI.isdisjoint(cleaned):
        raise BadText("control characters are not allowed")
    if all(category in ("Cf", "Zs", "Zl", "Zp", "Mn") for category in categories):
        raise BadText("must not be empty")
    if len(cleaned) > max_length:
        raise BadText(f"must have at most {max_length} characters")
    return cleaned


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual form."""
    return _UUID.fullmatch(text) is not None
