"""In which country an address is, from files of lines `first,last,CC`: as Debian's tor-geoipdb has them (IPFire,
CC BY-SA 4.0, addresses as numbers), or DB-IP Lite (CC BY 4.0, addresses as text). No file is fetched from anywhere.

Ranges are kept in flat arrays, of IPv6 the upper 64 bits, because half a million Python objects would be most of an
edge's memory.
"""

import ipaddress
import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)


class Table:
    """Ranges of one address family in ascending order."""

    def __init__(self, code: str) -> None:
        self._first = array(code)
        self._last = array(code)
        self._country = array("H")

    def __len__(self) -> int:
        return len(self._first)

    def fill(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Take (first, last, country) in any order."""
        for first, last, country in sorted(ranges):
            self._first.append(first)
            self._last.append(last)
            self._country.append(country)

    def find(self, number: int) -> int:
        """The country of a number, 0 when there is none."""
        index = bisect_right(self._first, number) - 1
        return self._country[index] if index >= 0 and number <= self._last[index] else 0


class CountryFiles:
    """Countries of addresses; empty until `load` has read the files."""

    def __init__(self) -> None:
        self._v4, self._v6 = Table("I"), Table("Q")

    @property
    def known(self) -> int:
        """How many ranges are known."""
        return len(self._v4) + len(self._v6)

    def load(self, paths: Sequence[Path]) -> None:
        """Read the files (takes about a second: not in the event loop). What cannot be read is logged and left out."""
        four: list[tuple[int, int, int]] = []
        six: list[tuple[int, int, int]] = []
        for path in paths:
            try:
                with path.open(encoding="ascii", errors="replace") as lines:
                    for line in lines:
                        _read(line, four, six, six_only=path.name.endswith("6"))
            except OSError as error:
                logger.info("no countries from %s: %s", path, error)
        v4, v6 = Table("I"), Table("Q")
        v4.fill(four)
        v6.fill(six)
        self._v4, self._v6 = v4, v6

    def country(self, address: str) -> str:
        """ISO 3166-1 alpha-2 code; empty when it is not known."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return ""
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if isinstance(parsed, ipaddress.IPv4Address):
            return _name(self._v4.find(int(parsed)))
        return _name(self._v6.find(int(parsed) >> 64))


def _read(line: str, four: list[tuple[int, int, int]], six: list[tuple[int, int, int]], *, six_only: bool) -> None:
    fields = [field.strip().strip('"') for field in line.split(",")]
    if len(fields) < 3 or line.startswith("#") or len(fields[2]) != 2 or not fields[2].isalpha():
        return
    try:
        first, last = _address(fields[0], six_only=six_only), _address(fields[1], six_only=six_only)
    except ValueError:
        return
    country = ord(fields[2][0].upper()) << 8 | ord(fields[2][1].upper())
    if first.version == 4:
        four.append((int(first), int(last), country))
    else:
        six.append((int(first) >> 64, int(last) >> 64, country))


def _address(text: str, *, six_only: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if text.isdecimal():
        return ipaddress.IPv6Address(int(text)) if six_only else ipaddress.IPv4Address(int(text))
    return ipaddress.ip_address(text)


def _name(country: int) -> str:
    return chr(country >> 8) + chr(country & 0xFF) if country else ""
