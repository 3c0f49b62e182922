"""Ask the running daemon over its Unix socket."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from updater.domain.application import ApplicationName
from updater.domain.errors import UpdaterError
from updater.web.api import application_path

_PATIENCE = aiohttp.ClientTimeout(total=10)
_OK = 200
_NOT_FOUND = 404


class NobodyAnswers(UpdaterError):
    """No daemon listens on the socket."""


async def ask_application(socket: Path, name: ApplicationName) -> Mapping[str, Any] | None:
    """Return what the daemon knows of an application; None when it knows none of that name.

    Raises:
        NobodyAnswers: no daemon listens, or it may not be asked.
        UpdaterError: it gives an answer that cannot be used.
    """
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_PATIENCE) as session,
            session.get(URL(f"http://updater{application_path(name)}", encoded=True)) as answer,
        ):
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NobodyAnswers(f"no daemon answers on {socket}: {error}") from None
    if answer.status == _NOT_FOUND:
        return None
    if answer.status != _OK:
        raise UpdaterError(f"the daemon answers with status {answer.status}: read its log")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UpdaterError(f"what answers on {socket} is no updater: {error}") from None
