"""The AWS identity of the pod, through botocore: environment, web identity (IRSA), pod identity, instance."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from updater.domain.errors import GitError, Misconfigured
from updater.formats.codecommit import AwsKey

if TYPE_CHECKING:
    from botocore.credentials import Credentials


async def workload_key(place: str) -> AwsKey:
    """Ask botocore, which refreshes what it found as needed.

    Raises:
        Misconfigured: the extra `[aws]` is not installed, or the pod has no AWS identity.
        GitError: the identity could not be had now.
    """
    return await asyncio.to_thread(_workload_key, place)


def _workload_key(place: str) -> AwsKey:
    try:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
    except ImportError:
        raise Misconfigured(f"{place} asks for AWS's workload identity: install updater[aws]") from None
    try:
        frozen = _credentials(place).get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise GitError(f"{place}: AWS's workload identity cannot be had: {error}") from None
    return AwsKey(frozen.access_key, frozen.secret_key, frozen.token or "")


@cache
def _credentials(place: str) -> "Credentials":
    from botocore.session import Session  # noqa: PLC0415 - an extra

    found = Session().get_credentials()
    if found is None:
        raise Misconfigured(f"{place} asks for AWS's workload identity, and this pod has none: annotate its account")
    return found
