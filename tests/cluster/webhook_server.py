"""An HTTPS server that answers AdmissionReviews; the path says how."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Obj = dict[str, Any]


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """(server context, caBundle) of a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    raw = made.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    (folder / "tls.crt").write_bytes(raw)
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context, base64.b64encode(raw).decode()


def patch(*steps: Obj) -> Obj:
    """The part of a response that carries a JSON patch."""
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(steps).encode()).decode()}


ANSWERS: dict[str, Obj] = {
    "allow": {"allowed": True},
    "warn": {"allowed": True, "warnings": ["be careful"]},
    "deny": {"allowed": False, "status": {"message": "no way", "code": 418, "reason": "Teapot"}},
    "deny-plain": {"allowed": False},
    "patch": {"allowed": True, **patch({"op": "add", "path": "/data/patched", "value": "yes"})},
    "label": {"allowed": True, **patch({"op": "add", "path": "/metadata/labels", "value": {"seen": "1"}})},
    "odd-uid": {"allowed": True, "uid": "other"},
    "half-patch": {"allowed": True, "patch": "W10="},
}


class WebhookServer:
    """`url` and `bundle` for configurations; `reviews` are the requests in their order."""

    def __init__(self, folder: Path) -> None:
        self._context, self.bundle = certificate(folder)
        self._runner: web.ServerRunner | None = None
        self.reviews: list[Obj] = []
        self.url = ""

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        review = await request.json()
        self.reviews.append(review)
        how = request.path.strip("/")
        if how == "slow":
            await asyncio.sleep(3)
        if how == "broken":
            return web.Response(status=500)
        response = {"uid": review["request"]["uid"], **ANSWERS.get(how, ANSWERS["allow"])}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})
