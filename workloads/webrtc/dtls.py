"""DTLS as a server over datagrams that somebody else carries (RFC 6347, RFC 5764); free of IO.

The handshake proves that the peer is the one of the offer: its certificate must have the offer's fingerprint, and until
that is checked no key is given out.
"""

import datetime
import hmac
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from workloads.webrtc.srtp import PROFILES, Inbound, Outbound

_LABEL = b"EXTRACTOR-dtls_srtp"
_MTU = 1200
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


class DtlsError(Exception):
    """The handshake failed, or the peer is somebody else."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of a certificate: hash function as SDP writes it, and colon-separated hexadecimal digits."""

    algorithm: str
    value: str


class Identity:
    """This process's certificate, made at start and known to nobody: peers get its fingerprint in the answer."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(key)
        self.fingerprint = Fingerprint("sha-256", digest(certificate, "sha-256"))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
        # Peers' certificates are signed by themselves: what counts is the fingerprint.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(crypto.X509.from_cryptography(certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(key))
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(b":".join(profile.openssl for profile in PROFILES))
        self.context = context


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Signed by itself under a random name; peers look at the fingerprint only."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    return builder.not_valid_after(now + datetime.timedelta(days=3650)).sign(key, hashes.SHA256())


def digest(certificate: x509.Certificate, algorithm: str) -> str:
    """The fingerprint's value."""
    return certificate.fingerprint(_HASHES[algorithm]()).hex(":").upper()


def supported(fingerprint: Fingerprint) -> bool:
    """Whether the hash function is one that is checked here."""
    return fingerprint.algorithm in _HASHES


class Dtls:
    """One association, in either role; feed it datagrams, send what `feed` and `tick` return."""

    def __init__(self, identity: Identity, peer: Fingerprint, *, client: bool = False) -> None:
        self._peer = peer
        self._client = client
        self._ssl = SSL.Connection(identity.context, None)
        self._ssl.set_ciphertext_mtu(_MTU)
        if client:
            self._ssl.set_connect_state()
        else:
            self._ssl.set_accept_state()
        self.outbound: Outbound | None = None
        self.inbound: Inbound | None = None
        self.closed = False

    @property
    def connected(self) -> bool:
        """Whether keys are there."""
        return self.outbound is not None

    def feed(self, datagram: bytes = b"") -> list[bytes]:
        """Take a datagram (none: begin as a client) and give the ones to send; DtlsError when it is over."""
        if datagram:
            self._ssl.bio_write(datagram)
        if not self.connected:
            self._handshake()
        else:
            self._read()
        return self._pending()

    def tick(self) -> list[bytes]:
        """Send again what seems to be lost, when it is time to."""
        if self.connected or self.closed:
            return []
        if self._ssl.DTLSv1_get_timeout() == 0:
            self._ssl.DTLSv1_handle_timeout()
        return self._pending()

    def close(self) -> list[bytes]:
        """Say that it is over."""
        self.closed = True
        try:
            self._ssl.shutdown()
        except SSL.Error:
            return []
        return self._pending()

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise DtlsError(f"the handshake failed: {error}") from error
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is None or not supported(self._peer):
            raise DtlsError("the peer shows no certificate that could be checked")
        if not hmac.compare_digest(digest(certificate, self._peer.algorithm), self._peer.value.upper()):
            raise DtlsError("the peer's certificate is not the one of its description")
        self._take_keys()

    def _take_keys(self) -> None:
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.openssl == chosen), None)
        if profile is None:
            raise DtlsError("no protection profile in common")
        material = self._ssl.export_keying_material(_LABEL, 2 * (profile.key + profile.salt))
        own, other = (0, 1) if self._client else (1, 0)
        self.outbound = Outbound(profile, profile.keys(material, own))
        self.inbound = Inbound(profile, profile.keys(material, other))

    def _read(self) -> None:
        try:
            self._ssl.recv(1)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            raise DtlsError(f"the association broke: {error}") from error

    def _pending(self) -> list[bytes]:
        datagrams = []
        while True:
            try:
                data = self._ssl.bio_read(_MTU * 4)
            except SSL.WantReadError:
                break
            datagrams += split_records(data)
        return datagrams


def split_records(data: bytes) -> list[bytes]:
    """Datagrams of at most the MTU out of consecutive DTLS records: the memory BIO keeps no boundaries."""
    datagrams: list[bytes] = []
    at = 0
    while at + 13 <= len(data):
        end = at + 13 + int.from_bytes(data[at + 11 : at + 13], "big")
        record = data[at:end]
        if datagrams and len(datagrams[-1]) + len(record) <= _MTU:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        at = end
    return datagrams
