"""Session descriptions as far as WHEP and WHIP need them (RFC 8866, RFC 8829): an offer read; free of IO.

Offers come from anybody: sizes are bounded, and what cannot be used is an `SdpError` with the reason, never another
exception.
"""

import re
from dataclasses import dataclass, field

MAX_BYTES = 128 * 1024
MAX_SECTIONS = 16
_MEDIA = re.compile(r"([a-z]{1,16}) ([0-9]{1,5})(?:/[0-9]{1,5})? ([A-Za-z0-9/-]{1,40})((?: \S{1,64})*)")
_MAPPING = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9._-]{1,40})/([0-9]{1,9})(?:/([0-9]{1,3}))?")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class SdpError(ValueError):
    """The text is no session description, or none that can be answered."""


@dataclass(slots=True)
class Codec:
    """One payload type: `name` in lower case, `parameters` of its fmtp, `feedback` of its rtcp-fb."""

    payload_type: int
    name: str
    clock: int
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    format: str = ""
    feedback: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Section:
    """One media section."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    mid: str = ""
    direction: str = "sendrecv"
    codecs: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)
    fragment: str = ""
    password: str = ""
    setup: str = ""
    fingerprint: tuple[str, str] | None = None
    mux: bool = False
    reduced: bool = False
    candidate: tuple[str, int] = ("", 0)


@dataclass(slots=True)
class Description:
    """An offer; what it says for all sections has been put into each."""

    sections: list[Section]
    bundle: list[str]


def parse(text: str) -> Description:
    """Read an offer; SdpError when it is none."""
    if len(text) > MAX_BYTES:
        raise SdpError("the description is too long")
    lines = [line for line in re.split(r"[\r\n]+", text) if line]
    if not lines or lines[0] != "v=0":
        raise SdpError("a description begins with v=0")
    session = Section("session", 0, "", [])
    sections: list[Section] = []
    bundle: list[str] = []
    for line in lines[1:]:
        if len(line) < 2 or line[1] != "=":
            raise SdpError(f"not a line of a description: {line[:40]!r}")
        if line.startswith("m="):
            sections.append(_section(line[2:]))
            if len(sections) > MAX_SECTIONS:
                raise SdpError("too many media sections")
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            if name == "group" and value.startswith("BUNDLE"):
                bundle = value.split()[1:]
            _attribute(sections[-1] if sections else session, name, value)
    if not sections:
        raise SdpError("there is no media section")
    for section in sections:
        _inherit(section, session)
    return Description(sections, bundle)


def _section(value: str) -> Section:
    match = _MEDIA.fullmatch(value)
    if not match:
        raise SdpError(f"not a media line: {value[:40]!r}")
    return Section(match[1], int(match[2]), match[3], match[4].split())


def _inherit(section: Section, session: Section) -> None:
    section.fragment = section.fragment or session.fragment
    section.password = section.password or session.password
    section.setup = section.setup or session.setup
    section.fingerprint = section.fingerprint or session.fingerprint
    section.extensions = session.extensions | section.extensions


def _attribute(section: Section, name: str, value: str) -> None:
    if name in _DIRECTIONS:
        section.direction = name
    elif name == "mid":
        section.mid = value[:64]
    elif name == "rtpmap":
        _mapping(section, value)
    elif name in ("fmtp", "rtcp-fb"):
        _codec_attribute(section, name, value)
    elif name == "extmap":
        _extension(section, value)
    elif name == "ice-ufrag":
        section.fragment = value[:256]
    elif name == "ice-pwd":
        section.password = value[:256]
    elif name == "setup":
        section.setup = value
    elif name == "fingerprint":
        algorithm, _, digest = value.partition(" ")
        # The first that can be checked counts; offers may list several of one certificate.
        if section.fingerprint is None or section.fingerprint[0] != "sha-256":
            section.fingerprint = (algorithm.lower(), digest.strip().upper())
    elif name == "rtcp-mux":
        section.mux = True
    elif name == "rtcp-rsize":
        section.reduced = True
    elif name == "candidate" and not section.candidate[1]:
        parts = value.split()
        if len(parts) >= 8 and parts[2].lower() == "udp" and parts[5].isdecimal():
            section.candidate = (parts[4], int(parts[5]) & 0xFFFF)


def _mapping(section: Section, value: str) -> None:
    match = _MAPPING.fullmatch(value)
    if match and int(match[1]) <= 127:
        number = int(match[1])
        section.codecs[number] = Codec(number, match[2].lower(), int(match[3]), int(match[4] or 1))


def _codec_attribute(section: Section, name: str, value: str) -> None:
    number, _, rest = value.partition(" ")
    targets = list(section.codecs.values()) if number == "*" else []
    if number.isdecimal() and len(number) <= 3 and int(number) in section.codecs:
        targets = [section.codecs[int(number)]]
    for codec in targets:
        if name == "rtcp-fb":
            codec.feedback.add(rest.strip())
        else:
            codec.format = rest.strip()
            pairs = (item.strip().partition("=") for item in rest.split(";"))
            codec.parameters = {key.lower(): given for key, _, given in pairs if key}


def _extension(section: Section, value: str) -> None:
    number, _, uri = value.partition(" ")
    number = number.partition("/")[0]
    if number.isdecimal() and len(number) <= 2 and 1 <= int(number) <= 14 and uri:
        section.extensions[uri.split()[0]] = int(number)
