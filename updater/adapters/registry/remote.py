"""One repository of one registry, as somebody: pages, manifests and configs, checked against their digests."""

from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from updater.adapters.registry.auth import Access
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.http import Answer
from updater.domain.errors import RegistryError, RepositoryNotFound
from updater.formats.oci import (
    MANIFEST_TYPES,
    ImageConfig,
    Malformed,
    Manifest,
    decode_config,
    decode_manifest,
    digest_of,
    error_codes,
    has_digest,
    is_digest,
    is_tag,
)

_OK = 200
_NOT_MODIFIED = 304
_NOT_FOUND = 404
_NOTHING_THERE = frozenset({400, _NOT_FOUND, 405, 501})
"""How registries answer for what they do not have, or for a part of the API that they do not have."""
_MANIFEST_BYTES = 4 * 2**20
_CONFIG_BYTES = 8 * 2**20
_UNKNOWN_MANIFEST = frozenset({"MANIFEST_UNKNOWN", "NOT_FOUND"})
"""The specification's code, and Harbor's."""
_ACCEPT = {"Accept": ", ".join(MANIFEST_TYPES)}


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest with its digest."""

    digest: str
    manifest: Manifest


class RemoteRepository:
    """Asks for what a repository holds."""

    def __init__(self, endpoint: Endpoint, access: Access) -> None:
        self.endpoint = endpoint
        self.name = access.name
        self._access = access

    async def get(self, url: URL, limit: int) -> Answer:
        """Get whatever is at an address of the API; its status is the caller's business."""
        return await self.endpoint.ask("GET", url, self._access, {}, limit)

    async def digest(self, tag: str, known: str = "") -> str | None:
        """Return the digest that a tag points to; None when there is no such tag.

        `known` is the digest of an earlier look: a registry that can say so says that it is still the same.
        """
        if not is_tag(tag):
            return None
        unchanged = {"If-None-Match": f'"{known}"'} if known else {}
        answer = await self._manifest("HEAD", tag, unchanged)
        if known and answer.status == _NOT_MODIFIED:
            return known
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == _OK and is_digest(digest):
            return digest
        if answer.status >= 500:  # noqa: PLR2004 - the registry's fault
            raise unexpected(answer, f"manifest {tag}")
        described = await self.manifest(tag)  # says what HEAD cannot
        return described.digest if described else None

    async def manifest(self, reference: str) -> Described | None:
        """Return the manifest of a tag or digest; None when the registry says that it does not exist."""
        answer = await self._manifest("GET", reference, {})
        if answer.status == _NOT_FOUND and not _UNKNOWN_MANIFEST.isdisjoint(error_codes(answer.body)):
            return None
        if answer.status != _OK:
            raise unexpected(answer, f"manifest {reference}")
        digest = _checked_digest(answer, reference)
        try:
            return Described(digest, decode_manifest(answer.body, answer.headers.get("Content-Type", "")))
        except Malformed as error:
            raise RegistryError(f"gives a manifest {reference} that is none: {error}") from None

    async def config(self, digest: str) -> ImageConfig:
        url = self.endpoint.url(f"v2/{self.name}/blobs/{digest}")
        answer = await self.endpoint.ask("GET", url, self._access, {}, _CONFIG_BYTES)
        if answer.status != _OK:
            raise unexpected(answer, f"image config {digest}")
        if not has_digest(answer.body, digest):
            raise RegistryError(f"gives an image config that is not {digest}")
        try:
            return decode_config(answer.body)
        except Malformed as error:
            raise RegistryError(f"gives an image config {digest} that is none: {error}") from None

    async def document(self, path: str) -> bytes | None:
        """Return a manifest, a blob or the referrers of a digest, whatever they mean; None when there is nothing."""
        url = self.endpoint.url(f"v2/{self.name}/{path}")
        answer = await self.endpoint.ask("GET", url, self._access, _ACCEPT, _MANIFEST_BYTES)
        if answer.status in _NOTHING_THERE:
            return None
        if answer.status != _OK:
            raise unexpected(answer, path)
        digest = path.rpartition("/")[2]
        if is_digest(digest) and not path.startswith("referrers/") and not has_digest(answer.body, digest):
            raise RegistryError(f"gives for {path} what does not have that digest")
        return answer.body

    async def _manifest(self, method: str, reference: str, headers: Mapping[str, str]) -> Answer:
        url = self.endpoint.url(f"v2/{self.name}/manifests/{reference}")
        return await self.endpoint.ask(method, url, self._access, {**_ACCEPT, **headers}, _MANIFEST_BYTES)


def _checked_digest(answer: Answer, reference: str) -> str:
    """Compute a manifest's digest, and insist on it where a digest was asked for or said."""
    said = reference if is_digest(reference) else answer.headers.get("Docker-Content-Digest", "")
    if not said:
        return digest_of(answer.body)
    if not has_digest(answer.body, said):
        raise RegistryError(f"gives a manifest {reference} that does not have the digest {said[:100]}")
    return said


def unexpected(answer: Answer, what: str) -> RegistryError:
    """Put into words that an answer is not what was asked for."""
    codes = error_codes(answer.body)
    if answer.status == _NOT_FOUND and "NAME_UNKNOWN" in codes:
        return RepositoryNotFound("knows no such repository: check the image's name")
    return RegistryError(f"gives no {what} (status {answer.status}{''.join(f' {code}' for code in codes)})")
