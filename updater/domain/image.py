"""Image references, as Docker's reference grammar has them, and the entries of an `image-list`."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository of a registry, in its one canonical spelling.

    `nginx`, `docker.io/nginx` and `index.docker.io/library/nginx` are all `Repository("docker.io", "library/nginx")`.
    """

    host: str
    """Registry host with its port if it has one, such as `docker.io` or `localhost:5000`.

    Of a chart in a Helm repository: the repository's address, such as `https://charts.example.com/stable`.
    """
    name: str

    @property
    def is_helm(self) -> bool:
        """Tell whether it is a chart in a Helm repository, which has an index in place of a registry's API."""
        return "://" in self.host

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """Which build of an image: a tag, a digest, or both."""

    tag: str = ""
    digest: str = ""
    """`sha256:<64 hex>`; empty when the version is a tag alone."""

    @staticmethod
    def parse(text: str) -> "ImageVersion":
        """Read `tag`, `tag@digest` or `@digest`; the inverse of `str` for all but a digest alone."""
        tag, _, digest = text.partition("@")
        return ImageVersion(tag, digest)

    def __bool__(self) -> bool:
        return bool(self.tag or self.digest)

    def __str__(self) -> str:
        """Give `tag`, `tag@digest`, `latest@digest` for a digest alone (as AIU does), or the empty string."""
        if self.digest:
            return f"{self.tag or 'latest'}@{self.digest}"
        return self.tag


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A repository as somebody wrote it, with a version if one was given."""

    repository: Repository
    written: str
    """The name as it was written, without tag and digest; what goes into files keeps this spelling."""
    version: ImageVersion = ImageVersion()

    @property
    def is_chart(self) -> bool:
        """Tell whether it is a chart, which is written with a scheme: it is a source of the Application itself."""
        return "://" in self.written

    def __str__(self) -> str:
        """Render in Docker's notation: `name`, `name:tag`, `name@digest` or `name:tag@digest`."""
        tag = f":{self.version.tag}" if self.version.tag else ""
        digest = f"@{self.version.digest}" if self.version.digest else ""
        return f"{self.written}{tag}{digest}"

    def at(self, version: ImageVersion) -> "ImageReference":
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One entry of an `image-list`: `[alias=]image[:constraint]`."""

    alias: str
    """As written, or the image's name with `/` as `_` when the entry has none: the identity within an application."""
    reference: ImageReference
    """Without a version: what stands behind the name is the constraint."""
    constraint: str = ""
