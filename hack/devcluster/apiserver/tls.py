"""The certificate authority and the server's certificate, made once per state directory.

HTTPS because kubectl sends a token only over TLS. ECDSA P-256 keeps the handshake at about a millisecond.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_YEARS = 10


def ensure(state: Path, addresses: list[str]) -> str:
    """Make `ca.crt`, `server.crt` and `server.key` when missing; returns the CA in PEM."""
    if not (state / "server.key").exists():
        _make(state, addresses)
    return (state / "ca.crt").read_text(encoding="ascii")


def context(state: Path) -> ssl.SSLContext:
    """The server's TLS context."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(state / "server.crt", state / "server.key")
    made.set_alpn_protocols(["http/1.1"])
    return made


def _make(state: Path, addresses: list[str]) -> None:
    from cryptography import x509  # only on the first start: the import costs 100 ms
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC) - timedelta(minutes=5)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        made = (
            x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("devcluster-ca")).public_key(public)
        )
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now)
        made = made.not_valid_after(now + timedelta(days=365 * _YEARS))
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)

    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        builder("devcluster-ca", ca_key.public_key(), ca=True)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    hosts = [x509.DNSName(text) for text in _NAMES]
    ips = [x509.IPAddress(ipaddress.ip_address(text)) for text in dict.fromkeys(["127.0.0.1", *addresses])]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    server = builder("kube-apiserver", key.public_key(), ca=False).add_extension(issuer, critical=False)
    server = server.add_extension(x509.SubjectAlternativeName([*hosts, *ips]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    (state / "ca.crt").write_bytes(ca.public_bytes(pem))
    (state / "server.crt").write_bytes(server.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    handle = os.open(state / "server.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(private)
