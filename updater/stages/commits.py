"""How our commits are worded, attributed and signed, whatever branch they are for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import structlog

from updater.domain.candidates import Labels
from updater.domain.change import Change
from updater.domain.errors import Misconfigured, RegistryError
from updater.domain.image import ImageVersion
from updater.domain.platform import Platform
from updater.domain.polling import PollKey
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import TemplateError
from updater.ports.git import Author, CommitSigner, GitBranch, Sign
from updater.ports.registry import ImageLabels
from updater.stages.batch import Planned

log = structlog.get_logger()


_PATIENCE = 10.0
"""Seconds for a registry to give the labels of an image."""


class Unsigned:
    """Implements `CommitSigner` where no key is set."""

    async def signer(self) -> Sign | None:
        return None


@dataclass
class Commits:
    """Builds commits."""

    author: Author
    style: CommitStyle = field(default_factory=CommitStyle)
    signer: CommitSigner = field(default_factory=Unsigned)
    labels: ImageLabels | None = None
    """Reads the labels that a message asks for; None: those are there that the poll needed itself."""
    _complained: str = ""

    async def labelled(self, planned: Sequence[Planned]) -> list[Planned]:
        """Add the labels that the template asks for, and the poll had no need of."""
        lacking: dict[_Image, Labels] = {}
        if self.labels is not None and self.style.template.asks_for("Labels"):
            images = dict.fromkeys(_image(each) for each in planned if not each.polled_labels())
            found = await asyncio.gather(*(self._read_labels(self.labels, image) for image in images))
            lacking = dict(zip(images, found, strict=True))
        return [replace(each, labels=lacking.get(_image(each), ())) for each in planned]

    async def _read_labels(self, reader: ImageLabels, image: "_Image") -> Labels:
        """Read them, or do without: a registry that does not give them must not hold the update up."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await reader.labels(*image)
        except (RegistryError, Misconfigured, TimeoutError) as error:
            reason = str(error) or f"no answer within {_PATIENCE:g} s"
            log.warning("git.labels_unread", image=f"{image.poll.repository}:{image.version}", reason=reason)
            return ()

    async def build(
        self,
        remote: GitBranch,
        head: str,
        files: Mapping[str, bytes],
        changes: Sequence[Change],
        at: datetime,
        branch: str = "",
    ) -> str:
        """Build the commit of a batch, for the branch called `branch` where it is one of its own.

        Raises:
            Misconfigured: it is to be signed, and cannot be.
        """
        sign = await self.signer.signer()
        message = await asyncio.to_thread(self.message, changes, branch)
        return await remote.commit(head, files, message, self.author, at, sign)

    def message(self, changes: Sequence[Change], branch: str = "") -> str:
        """Word a message; a template that does not fit is said once, and AIU's words stand in for it."""
        try:
            return self.style.message(changes, branch)
        except TemplateError as error:
            if str(error) != self._complained:
                self._complained = str(error)
                log.warning("git.template_failed", reason=str(error), remedy="the built-in message is used")
            return CommitStyle(signed_off_by=self.style.signed_off_by).message(changes, branch)


class _Image(NamedTuple):
    poll: PollKey
    version: ImageVersion
    platforms: tuple[Platform, ...]


def _image(planned: Planned) -> _Image:
    return _Image(planned.decided.image.poll, planned.update.version, planned.decided.image.policy.platforms)
