"""Texts that settings keep secret: written where they are used, in a Secret, or in a variable."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from updater.domain.errors import Misconfigured, UpdaterError
from updater.domain.secrets import CredentialSource, SecretKind, parse_credential_source
from updater.ports.secrets import Secrets
from updater.redaction import register_secret

_KEPT = 60.0
"""Seconds until a text is read again: a new one counts after that."""
_FAILURE_KEPT = 5.0
"""Seconds for which a text that cannot be read is not asked for again, however many want it."""
_PREFIXES = (f"{SecretKind.SECRET}:", f"{SecretKind.ENVIRONMENT}:")


@dataclass(slots=True)
class _Read:
    until: float
    text: str = ""
    error: UpdaterError | None = None


@dataclass
class SecretTexts:
    """Reads what settings such as `webhooks.harbor_secret` refer to."""

    secrets: Secrets
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, _Read] = field(default_factory=dict, repr=False)

    async def text(self, spelled: str) -> str:
        """Return the text that `secret:<namespace>/<name>#<field>` or `env:<variable>` leads to; else what is spelled.

        Raises:
            Misconfigured: it leads nowhere.
            ClusterError: it could not be read now.
        """
        if not spelled.startswith(_PREFIXES):
            register_secret(spelled)
            return spelled
        kept = self._kept.get(spelled)
        if kept is None or kept.until <= self.clock():
            kept = self._kept[spelled] = await self._read(spelled)
        if kept.error is not None:
            raise kept.error
        return kept.text

    async def _read(self, spelled: str) -> _Read:
        try:
            text = await self._fetch(parse_credential_source(spelled))
        except UpdaterError as error:
            return _Read(self.clock() + _FAILURE_KEPT, error=error)
        register_secret(text)
        return _Read(self.clock() + _KEPT, text)

    async def _fetch(self, source: CredentialSource) -> str:
        if source.kind is SecretKind.ENVIRONMENT:
            found: bytes | str | None = self.environment.get(source.location)
        else:
            found = (await self.secrets.secret(source.namespace, source.location)).get(source.field)
        text = found.decode("utf-8", "replace").strip() if isinstance(found, bytes) else (found or "").strip()
        if not text:
            raise Misconfigured(f"{source} leads to no text: there is no such {_what(source)}, or it is empty")
        return text


def _what(source: CredentialSource) -> str:
    return "variable" if source.kind is SecretKind.ENVIRONMENT else "field"
