"""Which namespaces Argo CD itself looks after, as its `application.namespaces` says; read once, at the start."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from updater.adapters.kubernetes.connection import CONFIG_MAPS, ApiError, Connection
from updater.adapters.kubernetes.reflector import Pace
from updater.domain.errors import ClusterError, Misconfigured
from updater.domain.namespaces import Namespaces
from updater.settings.daemon import NamespacePattern

log = structlog.get_logger()

_CONFIG_MAP = "argocd-cmd-params-cm"
_KEY = "application.namespaces"
_FORBIDDEN = 403
_NOT_FOUND = 404


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


_decode = msgspec.json.Decoder(_ConfigMap).decode


async def enabled_namespaces(connection: Connection, argocd: str, pace: Pace) -> Namespaces:
    """Name Argo CD's own namespace, and those that it is told to look after; say which they are.

    A server that does not answer is asked until it does: what it would have said must not get lost.
    """
    place = f"ConfigMap {argocd}/{_CONFIG_MAP}"
    try:
        text = await _patiently(connection, argocd, pace)
    except ClusterError as error:
        _say([argocd], f"argocd.namespace, as {error}")
        return Namespaces.of([argocd])
    further = [entry for entry in map(str.strip, text.split(",")) if entry and _is_understood(entry, place)]
    _say([argocd, *further], f"{_KEY} of {place}" if further else f"argocd.namespace, as {place} names no others")
    return Namespaces.of([argocd, *further])


def _say(namespaces: Sequence[str], source: str) -> None:
    log.info("applications.namespaces", namespaces=list(dict.fromkeys(namespaces)), source=source)


async def _patiently(connection: Connection, argocd: str, pace: Pace) -> str:
    """Read what Argo CD is told; empty when that is nothing.

    Raises:
        ClusterError: it may not be read, or is no ConfigMap.
    """
    pause = pace.first_pause
    unreachable: int | None = None
    while True:
        try:
            text = await _read(connection, argocd)
        except ApiError as error:
            if error.status == _FORBIDDEN:
                raise
            if error.status != unreachable:
                unreachable = error.status
                log.warning("cluster.unreachable", namespace=argocd, reason=str(error))
            await asyncio.sleep(max(pause, error.retry_after))
            pause = min(pause * 2, pace.longest_pause)
        else:
            if unreachable is not None:
                log.info("cluster.reachable", namespace=argocd)
            return text


async def _read(connection: Connection, argocd: str) -> str:
    try:
        body = await connection.get(CONFIG_MAPS, argocd, _CONFIG_MAP)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return ""
    try:
        return (_decode(body).data or {}).get(_KEY, "")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClusterError(f"ConfigMap {argocd}/{_CONFIG_MAP} cannot be read: {error}") from None


def _is_understood(entry: str, place: str) -> bool:
    """Leave out, as Argo CD does, what is neither a name nor a pattern; but say so."""
    try:
        Namespaces.of([msgspec.convert(entry, NamespacePattern)])
    except (msgspec.ValidationError, Misconfigured) as error:
        log.warning("applications.namespace_ignored", namespace=entry, reason=f"{_KEY} of {place}: {error}")
        return False
    return True
