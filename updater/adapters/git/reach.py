"""How each repository is reached: its transport, its credentials, and which certificates and host keys are believed."""

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.git.credentials import find_fields
from updater.adapters.git.http import HttpTransport
from updater.adapters.git.login import Login
from updater.adapters.git.logins import Logins
from updater.adapters.git.ssh import SshConnections, SshTransport
from updater.adapters.git.tls import tls_context
from updater.adapters.git.tokens import Post, send_form
from updater.adapters.git.transport import Transport
from updater.domain.errors import GitError
from updater.domain.target import Branch
from updater.formats.repository_url import is_ssh, plain, ssh_address
from updater.ports.secrets import RepositorySecrets

_CONNECTIONS_PER_HOST = 4
_MOST_CONTEXTS = 100


class Reach:
    """Keeps connections; opens transports on them."""

    def __init__(
        self,
        secrets: RepositorySecrets,
        trust: ArgoTrust | None = None,
        *,
        argocd_namespace: str,
        ca_data: str = "",
        timeout: float,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Take what connections need.

        Args:
            secrets: where the credentials are.
            trust: None: no host over SSH is known, and over TLS only the authorities of the system and `ca_data` are.
            argocd_namespace: where Argo CD keeps its repositories' Secrets.
            ca_data: certificates in PEM.
            timeout: seconds of one request.
            environ: where proxies and the pod's identities are told.
        """
        self.secrets = secrets
        self._argocd = trust
        self.timeout = timeout
        self._argocd_namespace = argocd_namespace
        self._ca_data = ca_data
        self._logins = Logins(self._post, environ=environ)
        self._contexts: OrderedDict[tuple[str, str, str, bool], ssl.SSLContext] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None
        self._ssh = SshConnections(timeout)

    async def transport(self, branch: Branch, largest: int) -> Transport:
        """Read the credentials of a branch anew, and open the way to its repository.

        Raises:
            Misconfigured, ClusterError, GitAuthError, GitError: see `find_fields` and `Logins.login`.
        """
        place = plain(branch.url)
        if not is_ssh(place) and urlsplit(place).scheme not in ("http", "https"):
            raise GitError(f"{place} is no URL that can be written to: write https://… or git@… in the Application")
        name, fields = await find_fields(self.secrets, branch, self._argocd_namespace)
        login = await self._logins.login(place, name, fields)
        if is_ssh(place):
            known_hosts = "" if login.insecure or not self._argocd else await self._argocd.known_hosts()
            return SshTransport(self._ssh, place, ssh_address(place), login, known_hosts, self.timeout, largest)
        return HttpTransport(self._http(), place, login, await self._trust(place, login), self.timeout, largest)

    async def http_login(self, branch: Branch, place: str) -> tuple[Login, ssl.SSLContext | bool]:
        """Read the credentials of a branch anew for another address of its server; tell how far that is trusted.

        Raises:
            Misconfigured, ClusterError, GitAuthError, GitError: see `find_fields` and `Logins.login`.
        """
        name, fields = await find_fields(self.secrets, branch, self._argocd_namespace)
        login = await self._logins.login(place, name, fields)
        return login, await self._trust(place, login)

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._http()

    async def close(self) -> None:
        await self._ssh.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=_CONNECTIONS_PER_HOST)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _post(self, endpoint: str, login: Login) -> Post:
        """Give what asks a token endpoint: through the repository's proxy, and never trusting it blindly."""
        proxy, proxy_headers = login.proxy_for(endpoint)
        timeout = aiohttp.ClientTimeout(total=self.timeout)

        async def post(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> bytes:
            trust = await self._trust(url, Login())
            how = {"proxy": proxy, "proxy_headers": proxy_headers, "ssl": trust, "timeout": timeout}
            return await send_form(self._http(), url, headers, form, how)

        return post

    async def _trust(self, url: str, login: Login) -> ssl.SSLContext | bool:
        """Decide which certificates count for a server, and which one it is shown."""
        parts = urlsplit(url)
        if parts.scheme != "https":
            return True
        authorities = ""
        if self._argocd and not login.insecure:
            authorities = await self._argocd.certificates(parts.hostname or "")
        key = (authorities, login.certificate, login.certificate_key, login.insecure)
        made = self._contexts.get(key)
        if made is None:
            made = self._contexts[key] = await asyncio.to_thread(tls_context, (self._ca_data, authorities), login)
            if len(self._contexts) > _MOST_CONTEXTS:
                self._contexts.popitem(last=False)
        return made
