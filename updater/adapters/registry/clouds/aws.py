"""AWS: Elastic Container Registry, as whatever the environment offers: IRSA, pod identity, keys, a profile.

Its library knows all of these, and the endpoints of every partition; it blocks, so it works in a thread of its own. It
comes with the extra `aws`, and is imported when it is needed: that takes half a second.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from updater.adapters.registry.clouds.http import secret
from updater.domain.errors import Misconfigured, RegistryAuthError, RegistryError
from updater.formats.docker_config import Login
from updater.redaction import redact

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.config import Config

_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.(amazonaws\.com(\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)"
)
_OFFERED_BY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
)
_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_TRIES = 2
_BUSY = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "ServerException"})
_LONGEST_REASON = 200
_SHORTEST = 60.0


def serves(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


def is_offered(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in _OFFERED_BY)


def account_of(host: str) -> str:
    return _matched(host)["account"]


async def login(host: str) -> tuple[Login, float]:
    token, expires = await asyncio.to_thread(_authorization, host)
    try:
        parsed = Login.parse(base64.b64decode(token).decode())
    except (binascii.Error, UnicodeDecodeError):
        parsed = None
    if parsed is None:
        raise RegistryError("ECR gives an authorization token that is no user and password")
    secret(parsed.password)
    return parsed, max((expires - datetime.now(UTC)).total_seconds(), _SHORTEST)


def _matched(host: str) -> re.Match[str]:
    matched = _HOST.fullmatch(host)
    if matched is None:
        raise ValueError(host)
    return matched


def _authorization(host: str) -> tuple[str, datetime]:
    """Ask ECR for an authorization token, which holds for all registries that we may read in the region."""
    with translated():
        answer = open_client(host).get_authorization_token()
    try:
        data = answer["authorizationData"][0]
        return data["authorizationToken"], data["expiresAt"]
    except (KeyError, IndexError):
        raise RegistryError("ECR gives an answer that is not understood") from None


def open_client(host: str) -> "BaseClient":
    """Open a client for a registry's region, to be used by threads; within `translated`."""
    from botocore.config import Config  # noqa: PLC0415 - an extra, and slow to import
    from botocore.session import Session  # noqa: PLC0415

    matched = _matched(host)
    config = _config(Config, fips=bool(matched["fips"]))
    return Session().create_client("ecr", region_name=matched["region"], config=config)


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words what goes wrong between AWS, its library and the environment.

    Raises:
        Misconfigured: the library, or an identity, is missing.
        RegistryAuthError: AWS refuses.
        RegistryError: it does not answer.
    """
    try:
        from botocore import exceptions  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise Misconfigured("credentials aws need a library: install updater[aws]") from None
    try:
        yield
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        raise Misconfigured(
            f"credentials aws: the environment offers no identity ({_short(error)}): give the ServiceAccount a role, "
            "by IRSA or EKS Pod Identity, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except exceptions.ClientError as error:
        raise _refused(error.response, error.operation_name) from None
    except (exceptions.BotoCoreError, exceptions.HTTPClientError, OSError) as error:
        raise RegistryError(f"AWS did not answer: {_short(error)}") from None


def _config(kind: "type[Config]", *, fips: bool) -> "Config":
    return kind(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _TRIES, "mode": "standard"},
        use_fips_endpoint=fips or None,
    )


def _refused(response: Mapping[str, Mapping[str, object]], operation: str) -> RegistryError:
    code = str(response.get("Error", {}).get("Code", ""))
    reason = _short(response.get("Error", {}).get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"AWS refuses {operation} ({code}{f': {reason}' if reason else ''})"
    if code in _BUSY or (isinstance(status, int) and status >= 500):  # noqa: PLR2004 - the server's fault
        return RegistryError(text)
    return RegistryAuthError(f"{text}: check the role, its trust, and that it may ecr:{operation}")


def _short(error: object) -> str:
    return redact(str(error).partition("\n")[0])[:_LONGEST_REASON]
