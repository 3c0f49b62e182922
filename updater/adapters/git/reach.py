"""How each repository is reached: its transport, its credentials, and which certificates and host keys are believed."""

import os
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from updater.adapters.git.credentials import find_fields
from updater.adapters.git.http import HttpTransport
from updater.adapters.git.login import Login
from updater.adapters.git.logins import Logins
from updater.adapters.git.tokens import Post, send_form
from updater.adapters.git.transport import Transport
from updater.domain.errors import GitError
from updater.domain.target import Branch
from updater.formats.repository_url import without_login
from updater.ports import RepositorySecrets

_CONNECTIONS_PER_HOST = 4
_MOST_CONTEXTS = 100


class Reach:
    """Keeps connections; opens transports on them."""

    def __init__(
        self,
        secrets: RepositorySecrets,
        *,
        argocd_namespace: str,
        ca_data: str = "",
        timeout: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.secrets = secrets
        self.timeout = timeout
        self._argocd_namespace = argocd_namespace
        self._ca_data = ca_data
        self._logins = Logins(self._post, environ=environ)
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None

    async def transport(self, branch: Branch, largest: int) -> Transport:
        """Read the credentials of a branch anew, and open the way to its repository.

        Raises:
            Misconfigured, ClusterError, GitAuthError, GitError: see `find_fields` and `Logins.login`.
        """
        place = without_login(branch.url)
        scheme = urlsplit(place).scheme
        if scheme not in ("http", "https"):
            raise GitError(f"{place} is no URL that can be written to: write https://… in the Application")
        name, fields = await find_fields(self.secrets, branch, self._argocd_namespace)
        login = await self._logins.login(place, name, fields)
        return HttpTransport(self._http(), place, login, self._trust(login), self.timeout, largest)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=_CONNECTIONS_PER_HOST)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _post(self, endpoint: str, login: Login) -> Post:
        """Give what asks a token endpoint: through the repository's proxy, never less carefully than the system."""
        proxy, proxy_headers = login.proxy_for(endpoint)
        timeout = aiohttp.ClientTimeout(total=self.timeout)

        async def post(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> bytes:
            how = {"proxy": proxy, "proxy_headers": proxy_headers, "ssl": self._context("", ""), "timeout": timeout}
            return await send_form(self._http(), url, headers, form, how)

        return post

    def _trust(self, login: Login) -> ssl.SSLContext | bool:
        return False if login.insecure else self._context("", "")

    def _context(self, certificate: str, key: str) -> ssl.SSLContext:
        made = self._contexts.get(certificate + key)
        if made is None:
            made = ssl.create_default_context()
            if self._ca_data:
                made.load_verify_locations(cadata=self._ca_data)
            self._contexts[certificate + key] = made
            if len(self._contexts) > _MOST_CONTEXTS:
                self._contexts.popitem(last=False)
        return made
