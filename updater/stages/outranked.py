"""Files of a source that outrank what is written to the Application itself: `.argocd-source.yaml` and its like.

Argo CD merges them over the Application's parameters, so a patch of one that they name has no effect. Whether there are
any is looked up once for each image, where the repository can be read; where it cannot, nothing is said.
"""

from dataclasses import dataclass, field

from updater.domain.branches import base_branch
from updater.domain.errors import UpdaterError
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, UpdateDecided
from updater.domain.target import ApplicationTarget, Branch, FileKind
from updater.domain.targeting import override_name
from updater.formats.targets import read_version
from updater.ports.git import GitServer
from updater.stages.board import Board
from updater.stages.present import edit_for

_MOST_REMEMBERED = 10_000


@dataclass
class Outranked:
    """Warns of files that make a patch useless."""

    git: GitServer
    board: Board
    argocd_namespace: str
    _looked: set[ImageIdentity] = field(default_factory=set)

    async def look(self, decided: UpdateDecided, target: ApplicationTarget) -> None:
        """Look for such files once, and warn of each that names the image."""
        source = decided.tracked.application.sources[target.source]
        if decided.identity in self._looked or not source.path or source.chart or target.kind is FileKind.CHART:
            return
        if len(self._looked) >= _MOST_REMEMBERED:
            self._looked.clear()
        self._looked.add(decided.identity)
        names = (".argocd-source.yaml", override_name(decided.tracked.name, self.argocd_namespace))
        paths = [f"{source.path.strip('/')}/{name}".removeprefix("./") for name in names]
        try:
            found = await self._versions(decided, target, paths)
        except UpdaterError:
            return
        for path, version in found.items():
            self.board.outranked(
                decided.tracked.name,
                decided.image.alias,
                f"{path} of {source.repo_url} gives {target.key} {version}, and comes before what is written to the "
                "Application: remove it there, or use write-back-method git",
            )

    async def _versions(
        self, decided: UpdateDecided, target: ApplicationTarget, paths: list[str]
    ) -> dict[str, ImageVersion]:
        source = decided.tracked.application.sources[target.source]
        revision = base_branch(source.target_revision.strip(), "targetRevision")
        branch = self.git.branch(Branch(source.repo_url, revision, "repocreds"))
        files = await branch.read(await branch.head(), paths)
        edit = edit_for(decided.image, ImageVersion())
        texts = {path: content.decode("utf-8", "replace") for path, content in files.items() if content is not None}
        versions = {path: read_version(target.kind, text, edit) for path, text in texts.items()}
        return {path: version for path, version in versions.items() if version}
