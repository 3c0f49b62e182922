"""JSON Web Tokens signed with RSA (RFC 7519, RS256): how an application proves to a token endpoint who it is."""

import base64
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from updater.domain.errors import Misconfigured


def signed_token(claims: Mapping[str, object], key: bytes, place: str, header: Mapping[str, str] | None = None) -> str:
    """Sign claims.

    Args:
        claims: as they are.
        key: an RSA key in PEM, without a passphrase.
        place: where the key stands, for the error.
        header: what beside algorithm and type is said.

    Raises:
        Misconfigured: the key is none.
    """
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, RSAPrivateKey):
        raise Misconfigured(f"{place} is no RSA key in PEM without a passphrase: put the key there as it was issued")
    parts = [{"alg": "RS256", "typ": "JWT", **(header or {})}, claims]
    told = b".".join(_encode(msgspec.json.encode(part)) for part in parts)
    return (told + b"." + _encode(private.sign(told, PKCS1v15(), SHA256()))).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
