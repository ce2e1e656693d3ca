"""Many WHEP viewers in one process, cheap enough to load a pod: they shake hands like a browser, count what comes and
never decrypt media. `python -m benchmarks.whep_load --url http://pod:8080/whep/shop/launch --viewers 50 --pid <pod>`.

With `--feedback` each sends transport-wide feedback ten times a second and a receiver report each second, as browsers
do: reading these is a good part of what a viewer costs.
"""

import argparse
import json
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from workloads.webrtc import rtcp, stun
from workloads.webrtc.dtls import Dtls, Fingerprint, Identity
from workloads.webrtc.negotiate import TRANSPORT_WIDE
from workloads.webrtc.sdp import parse
from workloads.webrtc.wide import Arrivals

_OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=ice-ufrag:{fragment}
a=ice-pwd:{password}
a=fingerprint:{algorithm} {digest}
a=setup:active
m=video 9 UDP/TLS/RTP/SAVPF 102 103
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=rtcp-fb:102 transport-cc
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=extmap:3 {wide}
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtcp-fb:111 transport-cc
a=extmap:3 {wide}
"""
_HANDSHAKE_SECONDS = 10.0
_LOOK_SECONDS = 0.01
_CHECK_SECONDS, _FEEDBACK_SECONDS = 5.0, 0.1


@dataclass
class Viewer:
    """One viewer: its socket, its association and its counters."""

    sock: socket.socket
    dtls: Dtls
    check: bytes
    began: float
    session: str
    packets: int = 0
    octets: int = 0
    first: float = 0.0
    ssrc: int = 0
    arrivals: Arrivals = field(default_factory=Arrivals)

    def read(self, *, feedback: bool) -> None:
        """Take all datagrams that are there."""
        while True:
            try:
                data = self.sock.recv(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if data[0] < 2:
                if not self.dtls.connected and not self.first:
                    self.first = -1.0
                    self.send(self.dtls.feed())
            elif data[0] < 64:
                self.send(self.dtls.feed(data))
            elif not 192 <= data[1] <= 223:
                self._count(data, feedback=feedback)

    def _count(self, data: bytes, *, feedback: bool) -> None:
        self.packets += 1
        self.octets += len(data)
        if self.first <= 0 and data[1] & 0x7F == 102:
            self.first = time.monotonic() - self.began
        if feedback and data[0] & 0x10:
            self.ssrc = int.from_bytes(data[8:12], "big")
            self.arrivals.note(data[17] << 8 | data[18], time.monotonic())

    def send(self, datagrams: list[bytes]) -> None:
        """Send what the association wants to."""
        for datagram in datagrams:
            self.sock.send(datagram)

    def report(self, *, reports: bool) -> None:
        """Feedback, and now and then a receiver report."""
        outbound = self.dtls.outbound
        compound = self.arrivals.feedback(1, self.ssrc) if outbound else None
        if outbound and compound:
            if reports:
                block = rtcp.Report(self.ssrc, 0.0, 0, self.packets, 0, 0, 0)
                compound = rtcp.receiver_report(1, [block]) + compound
            self.sock.send(outbound.rtcp(compound))


def join(url: str, identity: Identity) -> Viewer:
    """Begin a session; the handshake follows by `Viewer.read`."""
    fragment, password = secrets.token_hex(4), secrets.token_hex(12)
    own = identity.fingerprint
    text = _OFFER.format(
        fragment=fragment, password=password, algorithm=own.algorithm, digest=own.value, wide=TRANSPORT_WIDE
    )
    request = urllib.request.Request(url, text.encode(), {"Content-Type": "application/sdp"}, method="POST")
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=10) as response:
        session = urllib.parse.urljoin(url, response.headers["Location"])
        section = parse(response.read().decode()).sections[0]
        body = section.candidate
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.connect(body)
    sock.setblocking(False)
    assert section.fingerprint is not None
    attributes = [
        (stun.USERNAME, f"{section.fragment}:{fragment}".encode()),
        (stun.PRIORITY, (1).to_bytes(4, "big")),
        (stun.ICE_CONTROLLING, bytes(8)),
        (stun.USE_CANDIDATE, b""),
    ]
    check = stun.build(stun.BINDING_REQUEST, os.urandom(12), attributes, section.password.encode())
    sock.send(check)
    return Viewer(sock, Dtls(identity, Fingerprint(*section.fingerprint), client=True), check, began, session)


class Load:
    """All viewers, looked at every 10 ms: a process that waited on its sockets would be woken for each packet, and on
    one machine it is the sender who pays for that."""

    def __init__(self, *, feedback: bool) -> None:
        self.viewers: list[Viewer] = []
        self._feedback = feedback
        self._checked = self._reported = time.monotonic()
        self._rounds = 0

    def add(self, viewer: Viewer) -> None:
        """One more."""
        self.viewers.append(viewer)

    def run(self, seconds: float) -> None:
        """Receive for a while."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for viewer in self.viewers:
                viewer.read(feedback=self._feedback)
            time.sleep(_LOOK_SECONDS)
            if now - self._checked > _CHECK_SECONDS:
                self._checked = now
                for viewer in self.viewers:
                    viewer.sock.send(viewer.check)
            if self._feedback and now - self._reported > _FEEDBACK_SECONDS:
                self._reported = now
                self._rounds += 1
                for viewer in self.viewers:
                    viewer.report(reports=self._rounds % 10 == 0)


def leave(viewers: list[Viewer]) -> None:
    """End the sessions, or the pod would go on sending to nobody until their consent runs out."""
    for viewer in viewers:
        urllib.request.urlopen(urllib.request.Request(viewer.session, method="DELETE"), timeout=10).close()
        viewer.sock.close()


def cpu_seconds(pid: int) -> float:
    """Time that all threads of a process ran, by the scheduler's own clock: a process that wakes with the tick would be
    charged too much by `/proc/<pid>/stat`."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def main() -> None:
    """Join, settle, measure, print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--pid", type=int, default=0, help="process of the pod, whose CPU time is measured")
    parser.add_argument("--feedback", action="store_true")
    given = parser.parse_args()
    load, identity = Load(feedback=given.feedback), Identity()
    for _ in range(given.viewers):
        try:
            load.add(join(given.url, identity))
        except (urllib.error.URLError, OSError) as error:
            sys.exit(f"a viewer is refused: {error}")
        load.run(0.015)
    load.run(_HANDSHAKE_SECONDS / 2)
    ready = [viewer for viewer in load.viewers if viewer.packets]
    before = sum(viewer.packets for viewer in load.viewers), sum(viewer.octets for viewer in load.viewers)
    cpu, began = cpu_seconds(given.pid) if given.pid else 0.0, time.monotonic()
    load.run(given.seconds)
    elapsed = time.monotonic() - began
    used = (cpu_seconds(given.pid) if given.pid else 0.0) - cpu
    packets = sum(viewer.packets for viewer in load.viewers) - before[0]
    received = sum(viewer.octets for viewer in load.viewers) - before[1]
    leave(load.viewers)
    count = max(1, len(ready))
    firsts = sorted(viewer.first for viewer in ready)
    print(
        json.dumps(
            {
                "viewers": len(ready),
                "asked": given.viewers,
                "packets_per_second": round(packets / elapsed / count, 1),
                "kbps": round(received * 8 / elapsed / count / 1000),
                "cpu_percent": round(used / elapsed * 100, 1),
                "cpu_ms_per_viewer_second": round(used / elapsed / count * 1000, 3),
                "viewers_per_core": round(count * elapsed / used) if used else None,
                "microseconds_per_packet": round(used / packets * 1e6, 2) if packets else None,
                "first_packet_p50_ms": round(firsts[len(firsts) // 2] * 1000) if firsts else None,
                "first_packet_p95_ms": round(firsts[int(len(firsts) * 0.95)] * 1000) if firsts else None,
            }
        )
    )


if __name__ == "__main__":
    main()
