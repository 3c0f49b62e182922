"""Say who we are: learn once how a registry wants it, keep its tokens, renew what it refuses.

Credentials go to the registry and to the token service it names, over TLS; without TLS only where the registry itself
is configured so.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from yarl import URL

from updater.adapters.registry.credentials import Credentials
from updater.adapters.registry.http import Answer
from updater.adapters.registry.shared import Shared
from updater.domain.errors import RegistryAuthError, RegistryError
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource
from updater.formats.docker_config import Login
from updater.formats.http_headers import parse_challenges
from updater.formats.oci import Malformed, decode_token, error_codes

AskTokenService = Callable[[URL, Mapping[str, str], Mapping[str, str] | None], Awaitable[Answer]]
"""Takes headers, and a form to be posted or None."""

_REFUSALS = (401, 403)
_READING = frozenset({"pull", "metadata_read", "content_read"})
"""What a registry may make us ask for, beside `pull`."""
_PART_OF_LIFETIME = 0.8
_SHORTEST_LIFETIME = 60.0
"""What the specification grants to a token that says nothing."""
_LONGEST_LIFETIME = 12 * 3600.0
_CLIENT = "updater"
_MOST_TOKENS = 1000
"""Expired ones are forgotten when there are more; never those that are being fetched."""


@dataclass(frozen=True, slots=True)
class Access:
    """A repository, as somebody."""

    repository: Repository
    name: str
    """By which the registry knows the repository."""
    source: CredentialSource | None
    awaited: bool = field(default=False, compare=False)
    """Whether somebody waits for the answers: they are asked for before what is only due."""

    @property
    def described(self) -> str:
        return f"credentials {self.source}" if self.source else "a request without credentials"


@dataclass(frozen=True, slots=True)
class _Way:
    """How the registry wants to be asked."""

    realm: URL | None = None
    """Of the token service; None for basic authentication."""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What is sent along, and which login it came from."""

    header: str = ""
    login: Login | None = None

    def __repr__(self) -> str:
        return f"Grant({self.header.partition(' ')[0]} ***)"


class Authenticator:
    """Authenticates all requests to one registry."""

    def __init__(
        self,
        credentials: Credentials,
        ask_token_service: AskTokenService,
        may_ask: Callable[[URL], bool],
    ) -> None:
        self._credentials = credentials
        self._ask_token_service = ask_token_service
        self._may_ask = may_ask
        self._way: _Way | None = None
        self._introduced: asyncio.Event | None = None
        """Set when the first request was answered, which tells the others how to ask; None before there was any."""
        self._actions: dict[str, frozenset[str]] = {}
        """What a token has to allow, where that is more than `pull`; by name of the repository."""
        self._tokens: dict[tuple[_Way, str, Login | None], Shared[str]] = {}

    async def authorized(self, access: Access, ask: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Ask with the right `Authorization`; renew it once when it is refused.

        `ask` gets the header's value, empty for none.

        Raises:
            RegistryAuthError: it was refused though it was new.
            Misconfigured: there are no such credentials.
        """
        if self._way is None and self._introduced is None:
            grant, answer = Grant(), await self._introduce(access, ask)
        else:
            if self._introduced is not None:
                await self._introduced.wait()
            grant = await self._grant(access, Grant())
            answer = await ask(grant.header)
        renewed = False
        while answer.status in _REFUSALS:
            if renewed:
                raise _refused(access, grant.login, answer)
            self._learn(access, answer)
            newer = await self._grant(access, grant)
            if newer.header in ("", grant.header):
                raise _refused(access, grant.login or newer.login, answer)
            renewed = bool(grant.header)
            grant = newer
            answer = await ask(grant.header)
        return answer

    async def _introduce(self, access: Access, ask: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Ask as the first of all; who comes meanwhile waits for what that teaches, and goes on without if it fails."""
        introduced = self._introduced = asyncio.Event()
        answer = None
        try:
            answer = await ask("")
            if answer.status in _REFUSALS:
                self._learn(access, answer)
            return answer
        finally:
            if answer is None or answer.status >= 500:  # noqa: PLR2004 - nothing was learned
                self._introduced = None
            introduced.set()

    async def basic(self, access: Access) -> str:
        """Return the header of basic authentication for an API that asks nobody for it; empty without a password."""
        login = await self._login(access, None)
        return _basic(login) if login and not login.identity_token else ""

    def _learn(self, access: Access, answer: Answer) -> None:
        """Note how the registry wants to be asked; bearer tokens before basic authentication."""
        challenges = {
            challenge.scheme: challenge.parameters
            for challenge in reversed(parse_challenges(answer.headers.getall("WWW-Authenticate", [])))
        }
        if "bearer" in challenges:
            parameters = challenges["bearer"]
            self._way = _Way(self._realm(parameters.get("realm", "")), parameters.get("service", ""))
            kind, _, rest = parameters.get("scope", "").partition(":")
            name, _, actions = rest.rpartition(":")
            more = frozenset(actions.split(",")) & _READING
            if kind == "repository" and name == access.name and more - {"pull"}:
                self._actions[access.name] = self._actions.get(access.name, frozenset()) | more
        elif "basic" in challenges:
            self._way = _Way()

    def _realm(self, text: str) -> URL:
        try:
            realm = URL(text, encoded=True)
            allowed = self._may_ask(realm)
        except ValueError:
            allowed = False
        if not allowed:
            raise RegistryAuthError(f"names a token service that is not asked because it has no TLS: {text[:100]!r}")
        return realm

    async def _grant(self, access: Access, refused: Grant) -> Grant:
        way = self._way
        if way is None:
            return Grant()
        login = await self._login(access, refused.login)
        if way.realm is None:
            if login is not None and login.identity_token:
                raise RegistryAuthError(f"wants user and password, and {access.described} are an identity token")
            return Grant(_basic(login), login) if login else Grant()
        try:
            return Grant(await self._bearer(way, access, login, refused.header), login)
        except RegistryAuthError:
            newer = await self._login(access, login)
            if newer == login:
                raise
        return Grant(await self._bearer(way, access, newer, ""), newer)

    async def _login(self, access: Access, refused: Login | None) -> Login | None:
        if access.source is None:
            return None
        return await self._credentials.read(access.source, access.repository, refused)

    async def _bearer(self, way: _Way, access: Access, login: Login | None, refused: str) -> str:
        actions = ",".join(sorted(self._actions.get(access.name, frozenset()) | {"pull"}, key=_pull_first))
        scope = f"repository:{access.name}:{actions}"

        async def fetch() -> tuple[str, float]:
            return await self._fetch_token(way, scope, access, login)

        return await self._shared_token((way, scope, login)).get(fetch, refused=refused)

    def _shared_token(self, key: tuple[_Way, str, Login | None]) -> Shared[str]:
        if key not in self._tokens and len(self._tokens) >= _MOST_TOKENS:
            self._tokens = {
                each: token for each, token in self._tokens.items() if token.value is None or not token.expired
            }
        return self._tokens.setdefault(key, Shared())

    async def _fetch_token(self, way: _Way, scope: str, access: Access, login: Login | None) -> tuple[str, float]:
        if way.realm is None:
            raise ValueError(way)
        query = {"scope": scope} | ({"service": way.service} if way.service else {})
        headers: dict[str, str] = {}
        form = None
        if login is not None and login.identity_token:
            form = query | {"grant_type": "refresh_token", "refresh_token": login.password, "client_id": _CLIENT}
            query = {}
        elif login is not None:
            query["account"] = login.username
            headers["Authorization"] = _basic(login)
        answer = await self._ask_token_service(way.realm.update_query(query), headers, form)
        if answer.status in _REFUSALS:
            raise _refused(access, login, answer, f"its token service {way.realm.host} ")
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise RegistryError(f"its token service {way.realm.host} answers with status {answer.status}")
        try:
            token = decode_token(answer.body, _SHORTEST_LIFETIME, _LONGEST_LIFETIME)
        except Malformed as error:
            raise RegistryError(f"its token service {way.realm.host} gives no token: {error}") from None
        return f"Bearer {token.token}", token.lifetime * _PART_OF_LIFETIME


def _pull_first(action: str) -> tuple[bool, str]:
    return action != "pull", action


def _basic(login: Login) -> str:
    return f"Basic {b64encode(f'{login.username}:{login.password}'.encode()).decode()}"


def _refused(access: Access, login: Login | None, answer: Answer, by: str = "") -> RegistryAuthError:
    codes = "".join(f" {code}" for code in error_codes(answer.body))
    asked = access.described if login else "a request without credentials"
    remedy = "check user and password, and that they may pull" if login else "configure credentials for it"
    return RegistryAuthError(f"{by}refuses {asked} (status {answer.status}{codes}): {remedy}")
