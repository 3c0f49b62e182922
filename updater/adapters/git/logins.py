"""From a Secret's fields to what a server is shown: a header, a key, or a token that has to be fetched first."""

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import msgspec

from updater.adapters.git.aws import workload_key
from updater.adapters.git.credentials import CREDENTIALS, Fields
from updater.adapters.git.login import Login
from updater.adapters.git.tokens import (
    GITHUB_API,
    GoogleKey,
    Post,
    Token,
    Tokens,
    azure_token,
    github_app_token,
    google_token,
)
from updater.domain.errors import GitAuthError, Misconfigured
from updater.formats.codecommit import AwsKey, codecommit_login, codecommit_region
from updater.formats.repository_url import is_ssh
from updater.redaction import register_secret

_TRUE = "true"
_SWITCHES = ("useAzureWorkloadIdentity", "useAwsWorkloadIdentity")
_SECRETS = (*CREDENTIALS, "tlsClientCertKey", "awsSecretAccessKey", "awsSessionToken")


class Logins:
    """Makes logins; tokens are kept while they are good."""

    def __init__(
        self,
        post: Callable[[str, Login], Post],
        *,
        environ: Mapping[str, str] = os.environ,
        tokens: Tokens | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take ways to the world.

        Args:
            post: sends to a token endpoint, in the manner of a login.
            environ: where the pod's identities are told.
            tokens: those that are good already.
            now: the time, for signatures.
        """
        self._post = post
        self._environ = environ
        self._tokens = tokens or Tokens()
        self._now = now

    async def login(self, url: str, place: str, fields: Fields) -> Login:
        """Log in as what a Secret holds.

        Args:
            url: of the repository.
            place: what the Secret is called.
            fields: of the Secret.

        Raises:
            GitAuthError: it does not hold what the URL needs, or a token was refused.
            GitError: a token could not be fetched.
            Misconfigured: a key is none, or the pod has no such identity.
        """
        for each in _SECRETS:
            if each in fields and each not in _SWITCHES:
                register_secret(fields[each])
        plain = Login(
            name=f"the credentials of {place}",
            certificate=fields.get("tlsClientCertData", ""),
            certificate_key=fields.get("tlsClientCertKey", ""),
            proxy=fields.get("proxy", ""),
            no_proxy=fields.get("noProxy", ""),
            environ=self._environ,
            insecure=_TRUE in (fields.get("insecure", "").lower(), fields.get("insecureIgnoreHostKey", "").lower()),
        )
        if is_ssh(url):
            if not fields.get("sshPrivateKey"):
                raise GitAuthError(
                    f"{place} has no field sshPrivateKey, which {url} needs: add it, or write an https URL"
                )
            return replace(plain, ssh_key=fields["sshPrivateKey"] + "\n", ssh_user=fields.get("username", ""))
        return await self._http_login(url, place, fields, plain)

    async def _http_login(self, url: str, place: str, fields: Fields, plain: Login) -> Login:
        if header := _header(fields):
            return replace(plain, authorization=header)
        if fields.get("githubAppPrivateKey"):
            return await self._github_app(place, fields, plain)
        if fields.get("gcpServiceAccountKey"):
            return await self._google(place, fields, plain)
        if fields.get("useAzureWorkloadIdentity", "").lower() == _TRUE:
            return await self._azure(place, plain)
        if fields.get("useAwsWorkloadIdentity", "").lower() == _TRUE or fields.get("awsAccessKeyID"):
            return await self._codecommit(url, place, fields, plain)
        if plain.certificate:
            return plain
        raise GitAuthError(
            f"{place} has no field password, which {urlsplit(url).scheme}:// needs: add username and password, or a "
            "token as password",
        )

    async def _github_app(self, place: str, fields: Fields, plain: Login) -> Login:
        app, installation = fields.get("githubAppID", ""), fields.get("githubAppInstallationID", "")
        if not app.isascii() or not app.replace("-", "").isalnum() or not installation.isdecimal():
            raise GitAuthError(f"{place} needs the fields githubAppID and githubAppInstallationID beside its key")
        api = fields.get("githubAppEnterpriseBaseUrl", "").rstrip("/") or GITHUB_API
        key = fields["githubAppPrivateKey"]
        post = self._post(api, plain)
        return await self._with_token(
            plain,
            ("github", api, app, installation, _digest(key)),
            lambda: github_app_token(post, api, app, installation, key.encode(), place),
            lambda token: _basic("x-access-token", token),
        )

    async def _google(self, place: str, fields: Fields, plain: Login) -> Login:
        text = fields["gcpServiceAccountKey"]
        try:
            key = msgspec.json.decode(text, type=GoogleKey)
        except msgspec.DecodeError:
            raise Misconfigured(
                f"{place}, field gcpServiceAccountKey, is no key of a service account in JSON"
            ) from None
        register_secret(key.private_key)
        post = self._post(key.token_uri, plain)
        return await self._with_token(
            plain,
            ("google", _digest(text)),
            lambda: google_token(post, key, place),
            lambda token: _basic(key.client_email, token),
        )

    async def _azure(self, place: str, plain: Login) -> Login:
        post = self._post(self._environ.get("AZURE_AUTHORITY_HOST", ""), plain)
        return await self._with_token(
            plain,
            ("azure", self._environ.get("AZURE_CLIENT_ID", ""), self._environ.get("AZURE_TENANT_ID", "")),
            lambda: azure_token(post, self._environ, place),
            lambda token: f"Bearer {token}",
        )

    async def _with_token(
        self,
        plain: Login,
        key: object,
        fetch: Callable[[], Awaitable[Token]],
        header: Callable[[str], str],
    ) -> Login:
        token = await self._tokens.get(key, fetch)
        return replace(plain, authorization=header(token), refused=lambda: self._tokens.forget(key))

    async def _codecommit(self, url: str, place: str, fields: Fields, plain: Login) -> Login:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not codecommit_region(host):
            raise GitAuthError(f"{place} has AWS's credentials, which only git-codecommit.<region>.amazonaws.com takes")
        if fields.get("awsAccessKeyID"):
            secret, session = fields.get("awsSecretAccessKey", ""), fields.get("awsSessionToken", "")
            if not secret:
                raise GitAuthError(f"{place} has awsAccessKeyID without awsSecretAccessKey: add it")
            key = AwsKey(fields["awsAccessKeyID"], secret, session)
        else:
            key = await workload_key(place)
        user, password = codecommit_login(host, parts.path, key, self._now().astimezone(UTC))
        register_secret(password)
        return replace(plain, authorization=_basic(user, password))


def _header(fields: Fields) -> str:
    """Make the header of a password or a token that are there already; empty: neither is."""
    if fields.get("password"):
        return _basic(fields.get("username") or "git", fields["password"])
    return f"Bearer {fields['bearerToken']}" if fields.get("bearerToken") else ""


def _basic(username: str, password: str) -> str:
    header = aiohttp.encode_basic_auth(username, password)
    register_secret(header.partition(" ")[2])
    return header


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
