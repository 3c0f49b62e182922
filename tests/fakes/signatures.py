"""Signatures in memory: which images are signed, and how often somebody looked."""

from dataclasses import dataclass, field

from updater.domain.errors import UpdaterError
from updater.domain.image import ImageVersion
from updater.domain.polling import PollKey
from updater.domain.resources import Verification


@dataclass
class FakeSignatures:
    """Implements `Signatures`."""

    signed: set[str] = field(default_factory=set)
    """Tags."""
    error: UpdaterError | None = None
    checked: list[str] = field(default_factory=list)
    """What was looked at, in order."""

    async def check(self, key: PollKey, version: ImageVersion, verification: Verification, namespace: str) -> str:
        self.checked.append(str(version))
        if self.error:
            raise self.error
        return "" if version.tag in self.signed else "it is not signed"
