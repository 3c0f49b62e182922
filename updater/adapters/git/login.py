"""How a repository's server is spoken to: as whom, through which proxy, and how far it is trusted."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from updater.adapters.proxies import environment_proxy
from updater.domain.errors import GitError


@dataclass(frozen=True, slots=True)
class Login:
    """What a Secret says of a server."""

    name: str = "no credentials"
    """What the credentials are called in errors: never what they are."""
    authorization: str = ""
    """The header of each HTTP request; empty: none."""
    ssh_user: str = ""
    ssh_key: str = ""
    """In PEM or OpenSSH's format, without a passphrase."""
    certificate: str = ""
    """A client's certificate in PEM, and its key."""
    certificate_key: str = ""
    proxy: str = ""
    """Empty: what the environment says."""
    no_proxy: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    insecure: bool = False
    """Verify neither the server's certificate nor its host key."""
    refused: Callable[[], None] = lambda: None
    """To be called when the server does not accept it: a token made of it may have been revoked."""

    def __repr__(self) -> str:
        return f"Login({self.name}, ***)"

    def proxy_for(self, url: str) -> tuple[str | None, Mapping[str, str] | None]:
        """Return the proxy on the way to a URL, and the headers that it wants; None: there is none.

        Raises:
            GitError: the proxy is of a kind that is not supported.
        """
        proxy = self._proxy(url)
        if not proxy:
            return None, None
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise GitError(f"{self.name} names a proxy of the kind {parts.scheme!r}: write http://<host>:<port>")
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        if not parts.username:
            return bare, None
        header = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
        return bare, {"Proxy-Authorization": header}

    def _proxy(self, url: str) -> str | None:
        """Return the Secret's proxy, except for hosts that it excludes; of the environment's, only those for HTTP."""
        if not self.proxy:
            return environment_proxy(URL(url), self.environ)
        if not self.no_proxy:
            return self.proxy
        scheme = urlsplit(url).scheme
        return environment_proxy(URL(url), {f"{scheme}_proxy": self.proxy, "no_proxy": self.no_proxy})
