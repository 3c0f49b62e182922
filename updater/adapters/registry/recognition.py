"""Find out once which vendor's API a registry has, when neither its configuration nor its host tells."""

import asyncio

from updater.adapters.registry.auth import Access
from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.http import Answer
from updater.adapters.registry.vendors import PROBED, Vendor, is_known, vendor_of
from updater.domain.errors import RegistryError, RegistryThrottled
from updater.settings.registries import RegistrySettings

_PROBE_BYTES = 65_536
_OK = 200
_UNAUTHORIZED = 401


class Recognition:
    """Remembers what one registry turned out to be."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._vendor = vendor_of(settings.api, settings.api_url)
        self._known = is_known(settings.api, settings.api_url)
        self._turn = asyncio.Lock()

    async def vendor(self, endpoint: Endpoint, access: Access) -> Vendor | None:
        """Return the vendor whose API there is; None: names alone can be had.

        Raises:
            RegistryError: the registry did not answer, so that nothing is known yet.
        """
        async with self._turn:
            if not self._known:
                self._vendor = await _probe(endpoint, access)
                self._known = True
        return self._vendor


async def _probe(endpoint: Endpoint, access: Access) -> Vendor | None:
    for vendor in PROBED:
        url = endpoint.url(vendor.probe)
        try:
            answer = await endpoint.ask_unasked(url, access, _PROBE_BYTES, login=False)
        except (NoAnswer, RegistryThrottled):
            raise
        except RegistryError:
            continue
        if _is_harbor(answer) if vendor.name == "harbor" else _is_gitlab(answer):
            return vendor
    return None


def _is_harbor(answer: Answer) -> bool:
    return answer.status == _OK and answer.body.strip() == b"Pong"


def _is_gitlab(answer: Answer) -> bool:
    """Recognise the registry of GitLab with a database: it says so, or sends to GitLab for a token."""
    if "Gitlab-Container-Registry-Database-Enabled" in answer.headers:
        return answer.headers["Gitlab-Container-Registry-Database-Enabled"] == "true"
    asks = " ".join(answer.headers.getall("WWW-Authenticate", []))
    return answer.status == _OK or (answer.status == _UNAUTHORIZED and "/jwt/auth" in asks)
