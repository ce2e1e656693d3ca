"""Common Media Client Data (CTA-5004): what players tell with each request, in the query or in headers; free of IO.

Values come from strangers: unknown keys are dropped, numbers are bounded, and nothing raises.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

HEADERS = ("cmcd-object", "cmcd-request", "cmcd-session", "cmcd-status")
MAX_BYTES = 2048
_ITEM = re.compile(r'\s*([a-z][a-z0-9.-]{0,63})(?:=("(?:[^"\\]|\\.)*"|[^,"]*))?\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Report:
    """What one request told: encoded bitrate and throughput in kbps, buffer in ms, whether the buffer ran empty,
    whether it is asked for at startup or after a stall, and the player's session."""

    session: str = ""
    bitrate_kbps: int = 0
    throughput_kbps: int = 0
    buffer_ms: int | None = None
    starved: bool = False
    startup: bool = False


def parse(text: str) -> dict[str, str]:
    """Keys and values; of a key without a value `true`. Reading stops at the first thing that is none."""
    found: dict[str, str] = {}
    at = 0
    text = text[:MAX_BYTES]
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None or match.end() == at:
            break
        value = match[2]
        found[match[1]] = "true" if value is None else value.strip('"')
        at = match.end()
    return found


def read(query: str, headers: Mapping[str, str]) -> Report | None:
    """The report of a request; None when it carries none."""
    parts = [headers[name] for name in HEADERS if headers.get(name)]
    if "CMCD=" in query:
        try:
            parts += parse_qs(query, max_num_fields=64).get("CMCD", [])
        except ValueError:
            return None
    if not parts:
        return None
    values: dict[str, str] = {}
    for part in parts:
        values |= parse(part)
    return Report(
        session=values.get("sid", "")[:64],
        bitrate_kbps=_number(values.get("br"), 1_000_000) or 0,
        throughput_kbps=_number(values.get("mtp"), 100_000_000) or 0,
        buffer_ms=_number(values.get("bl"), 3_600_000),
        starved=values.get("bs") == "true",
        startup=values.get("su") == "true",
    )


def _number(text: str | None, most: int) -> int | None:
    return min(int(text), most) if text and text.isascii() and text.isdecimal() and len(text) <= 12 else None
