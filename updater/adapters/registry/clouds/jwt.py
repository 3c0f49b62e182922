"""Signed assertions (RFC 7519), as Google and GitHub take them from who holds a private key."""

import base64
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from updater.adapters.registry.clouds.http import secret
from updater.domain.errors import Misconfigured


def sign(claims: Mapping[str, object], pem: bytes, place: str) -> str:
    """Sign claims with RS256.

    Raises:
        Misconfigured: the key is no RSA key in PEM; `place` says where it was found.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(f"{place} is no RSA key in PEM without a password: download it again")
    signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = key.sign(signed.encode(), PKCS1v15(), SHA256())
    return secret(f"{signed}.{_base64(signature)}")


def _encoded(document: Mapping[str, object]) -> str:
    return _base64(msgspec.json.encode(document))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
