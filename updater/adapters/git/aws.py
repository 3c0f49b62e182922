"""The AWS identity of the pod, through botocore: environment, web identity (IRSA), pod identity, instance."""

import asyncio

from updater.domain.errors import GitError, Misconfigured
from updater.formats.codecommit import AwsKey


async def workload_key(place: str) -> AwsKey:
    """Ask botocore's chain; it caches and refreshes.

    Raises:
        Misconfigured: the extra `[aws]` is not installed, or the pod has no AWS identity.
        GitError: the identity could not be had now.
    """
    return await asyncio.to_thread(_workload_key, place)


def _workload_key(place: str) -> AwsKey:
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        raise Misconfigured(f"{place} asks for AWS's workload identity: install updater[aws]") from None
    try:
        credentials = Session().get_credentials()
        if credentials is None:
            raise Misconfigured(
                f"{place} asks for AWS's workload identity, and this pod has none: annotate its account"
            )
        frozen = credentials.get_frozen_credentials()
    except BotoCoreError as error:
        raise GitError(f"{place}: AWS's workload identity cannot be had: {error}") from None
    return AwsKey(frozen.access_key, frozen.secret_key, frozen.token or "")
