"""A token service of our own for docker-registry: JWTs signed with ES256, as its specification has them."""

import json
import secrets
import time
from base64 import urlsafe_b64encode
from types import TracebackType
from typing import Any, Self

from aiohttp import encode_basic_auth, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.fakes.certificates import loopback_certificate

ISSUER = "test-issuer"
SERVICE = "test-registry"


class TokenIssuer:
    """Gives tokens to one user; counts them, and lets them live as long as it is told."""

    def __init__(self, username: str, password: str) -> None:
        self._authorization = encode_basic_auth(username, password)
        self._runner: web.AppRunner | None = None
        self.scopes: list[str] = []
        self.lifetime = 300
        self.url = ""

    @property
    def certificate(self) -> str:
        """With which the registry checks signatures, in PEM."""
        return loopback_certificate().certificate

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/token", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/token"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self._authorization:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        scope = request.query.get("scope", "")
        self.scopes.append(scope)
        return web.json_response({"token": self._token(scope), "expires_in": self.lifetime})

    def _token(self, scope: str) -> str:
        certificate = x509.load_pem_x509_certificate(self.certificate.encode())
        der = certificate.public_bytes(Encoding.DER)
        now = int(time.time())
        kind, name, actions = scope.split(":") if scope else ("", "", "")
        header = {"typ": "JWT", "alg": "ES256", "x5c": [_base64(der, url=False)]}
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "somebody",
            "aud": SERVICE,
            "exp": now + self.lifetime,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}] if scope else [],
        }
        signed = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
        return f"{signed}.{_base64(_signature(signed.encode()))}"


def _signature(content: bytes) -> bytes:
    key = load_pem_private_key(loopback_certificate().key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _base64(content: bytes, *, url: bool = True) -> str:
    encoded = urlsafe_b64encode(content).decode()
    return encoded.rstrip("=") if url else encoded.replace("-", "+").replace("_", "/")
