"""How our commits are worded, attributed and signed, whatever branch they are for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from updater.domain.change import Change
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import TemplateError
from updater.ports.git import Author, CommitSigner, GitBranch, Sign

log = structlog.get_logger()


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
    _complained: str = ""

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
