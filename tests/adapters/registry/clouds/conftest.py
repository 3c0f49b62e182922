"""A cloud on loopback, and keys to sign with."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from updater.adapters.registry.clouds import CloudIdentities, Place
from updater.adapters.registry.clouds.http import CloudHttp
from updater.domain.secrets import parse_credential_source
from updater.formats.docker_config import Login


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Mount the token of a ServiceAccount, as the kubelet does."""
    file = tmp_path / "token"
    file.write_text("the-token-of-the-service-account")
    return file


async def log_in(
    source: str, environment: Mapping[str, str], host: str, api_url: str = "", seconds: float = 5
) -> tuple[Login, float]:
    identities = CloudIdentities(environment, CloudHttp(seconds), Path("/nowhere"))
    return await identities.login(parse_credential_source(source), Place(api_url or f"https://{host}", (host,)))


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def rsa_pem() -> str:
    return rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def verify(signature: bytes, signed: bytes) -> None:
    """Raise unless the key has signed."""
    rsa_key().public_key().verify(signature, signed, PKCS1v15(), SHA256())
