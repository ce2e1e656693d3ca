"""RTMPS: a real encoder over TLS, and a certificate that is renewed without a restart."""

import asyncio
import datetime
import ipaddress
import os
import ssl
from pathlib import Path

import imageio_ffmpeg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import CollectorRegistry

from workloads.common import redis
from workloads.common.publication.routes import Routes
from workloads.ingest.certificate import Certificate, CertificateError
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.server import RtmpServer

NOBODY = "redis://127.0.0.1:1/0"


def write(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(here, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    chain, secret = folder / "tls.crt", folder / "tls.key"
    chain.write_bytes(signed.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, secret


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def shown(port: int) -> str:
    """The name in the certificate that the port shows."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
    body = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(body).subject.rfc4514_string()


async def test_an_encoder_is_heard_and_answered_over_tls(tmp_path: Path, unused_tcp_port: int) -> None:
    chain, secret = write(tmp_path, "ingest.example")
    settings = IngestSettings(rtmps_port=unused_tcp_port, tls_chain_file=chain, tls_key_file=secret)
    server = RtmpServer(
        settings.model_copy(update={"rtmp_port": 0}),
        Routes(redis.connect(NOBODY, retries=0)),
        Metrics(CollectorRegistry()),
    )
    await server.start()
    try:
        assert await shown(unused_tcp_port) == "CN=ingest.example"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "verbose", "-f", "lavfi"]
        command += ["-i", "testsrc2=size=160x90:rate=10", "-t", "5", "-c:v", "libx264", "-f", "flv"]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"rtmps://127.0.0.1:{unused_tcp_port}/live/sk-key",
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"SSL_CERT_FILE": str(chain)},
        )
        _, said = await asyncio.wait_for(process.communicate(), 30)
        # No Redis here: the answer itself shows that both directions work.
        assert b"the stream is not ready" in said
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        writer.write(b"\x03" + bytes(2000))  # plain RTMP at the TLS port
        assert await asyncio.wait_for(reader.read(), 10) is not None
        writer.close()
    finally:
        await server.close()


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    chain, secret = write(tmp_path, "old.example")
    certificate = Certificate(chain, secret)
    assert not certificate.refresh()
    write(tmp_path, "new.example")
    assert certificate.refresh()
    secret.write_text("no key")
    assert not certificate.refresh()
    secret.unlink()
    assert not certificate.refresh()


def test_a_missing_certificate_is_named() -> None:
    with pytest.raises(CertificateError, match=r"nothing\.crt"):
        Certificate(Path("/nowhere/nothing.crt"), Path("/nowhere/nothing.key"))
