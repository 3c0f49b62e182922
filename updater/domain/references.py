"""Image references in Docker's grammar, and the entries of an `image-list`, which have a constraint for a tag.

Docker Hub has one name for each repository here, however it was written; what was written is kept beside it.
"""

import re
from collections import Counter

from updater.domain.docker_hub import DOCKER_HUB, DOCKER_HUB_NAMESPACE, canonical_host
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageEntry, ImageReference, ImageVersion, Repository

_OFFICIAL = f"{DOCKER_HUB_NAMESPACE}/"
_WILDCARD = "/*"
OCI = "oci"
_LONGEST_PATH = 255
_LARGEST_PORT = 65_535

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_CONTINUES = re.compile(r"\s*(?:[<>!~^*]|=[<>])")
"""How a constraint goes on behind a comma; no alias and no image begins like this."""


def parse_reference(text: str) -> ImageReference:
    """Read `name`, `name:tag`, `name@digest` or `name:tag@digest`.

    Raises:
        Misconfigured: it is no image reference.
    """
    try:
        written, tag, digest = _split(text)
        if tag is not None:
            _check_tag(tag)
        return ImageReference(_repository(written), written, ImageVersion(tag or "", digest))
    except _Fault as fault:
        raise Misconfigured(f"image {text!r} {fault}") from None


def parse_entry(text: str) -> ImageEntry:
    """Read `[alias=]image[:constraint]`; the image may be `<registry>/<organisation>/*`.

    A chart stands in place of an image by its scheme: `https://<Helm repository>/<chart>`, `oci://<registry>/<chart>`.

    Raises:
        Misconfigured: it is no entry of an image-list.
    """
    try:
        alias, image = _split_alias(text.strip())
        written, constraint, _ = _split(image)
        repository = _entry_repository(written)
    except _Fault as fault:
        raise Misconfigured(f"image-list entry {text.strip()!r} {fault}") from None
    alias = (alias or _familiar(repository)).replace("/", "_")
    return ImageEntry(alias, ImageReference(repository, written), (constraint or "").strip())


def parse_image_list(text: str) -> tuple[ImageEntry, ...]:
    """Read the comma separated entries of an `image-list`.

    Raises:
        Misconfigured: there is none, or any is wrong: the text names each of them.
    """
    entries: list[ImageEntry] = []
    faults: list[str] = []
    for item in split_image_list(text):
        try:
            entries.append(parse_entry(item))
        except Misconfigured as error:
            faults.append(str(error))
    aliases = Counter(entry.alias for entry in entries)
    faults += [
        f"image-list has {count} entries of the alias {alias!r}: write an alias of its own before each, as alias=image"
        for alias, count in aliases.items()
        if count > 1
    ]
    if faults or not entries:
        raise Misconfigured("; ".join(faults) or "image-list is empty: name an image, such as app=quay.io/team/app:~1")
    return tuple(entries)


def split_image_list(text: str) -> tuple[str, ...]:
    """Split at the commas that are not inside a constraint; what is empty is left out."""
    items: list[str] = []
    for piece in text.split(","):
        if items and _CONTINUES.match(piece):
            items[-1] += f",{piece.rstrip()}"
        elif piece.strip():
            items.append(piece.strip())
    return tuple(items)


class _Fault(ValueError):
    """What is wrong with a reference, and what to write; goes behind the text it was found in."""


def _split_alias(text: str) -> tuple[str, str]:
    """Split at the first `=`, unless a constraint has begun before it."""
    alias, equals, image = text.partition("=")
    if not equals or ":" in alias:
        return "", text
    alias = alias.strip()
    if alias and not _ALIAS.fullmatch(alias):
        raise _Fault(
            f"has the alias {alias!r}: write letters, digits, '.', '_' or '-' before '=', and ':' before a range"
        )
    return alias, image.strip()


def _split(text: str) -> tuple[str, str | None, str]:
    """Split into name, what stands behind its colon (None without one), and digest."""
    if not text:
        raise _Fault("names no image: write one, such as quay.io/team/app")
    if _IDENTIFIER.fullmatch(text):
        raise _Fault("is an image ID: write the name of the image")
    base = text.rfind("/") + 1
    rest, at, digest = text[base:].partition("@")
    name, colon, tag = rest.partition(":")
    if at and not _DIGEST.fullmatch(digest):
        raise _Fault(f"has the digest {digest!r}: write sha256: and 64 hexadecimal digits in lower case, or none")
    return text[:base] + name, tag if colon else None, digest


def _check_tag(tag: str) -> None:
    if not _TAG.fullmatch(tag):
        raise _Fault(f"has the tag {tag!r}: write up to 128 letters, digits, '_', '.' or '-', or no colon")


def _repository(written: str) -> Repository:
    host, path = _split_host(written)
    if not _HOST.fullmatch(host):
        raise _Fault(f"has the registry {host!r}: write a host name, with :port if it has one")
    if not _PATH.fullmatch(path):
        raise _Fault(f"has the name {path!r}: write lower case letters and digits, joined by '.', '_', '-' or '/'")
    if host == DOCKER_HUB and "/" not in path:
        path = _OFFICIAL + path
    if len(path) > _LONGEST_PATH:
        raise _Fault(f"has a name of {len(path)} characters: write no more than {_LONGEST_PATH}")
    return Repository(host, path)


def _entry_repository(written: str) -> Repository:
    if "://" in written:
        return _chart(written)
    return _wildcard(written) if written.endswith(_WILDCARD) else _repository(written)


def _chart(written: str) -> Repository:
    """Name a chart of a registry like an image, and one of a Helm repository by the repository's address."""
    address, _, name = written.rpartition("/")
    scheme, _, rest = address.partition("://")
    if scheme == OCI:
        return _repository(written.removeprefix(f"{OCI}://"))
    if scheme not in ("https", "http") or not rest:
        raise _Fault("is no chart's address: write https://<Helm repository>/<chart> or oci://<registry>/<chart>")
    host, slash, path = rest.partition("/")
    if "@" in host:
        raise _Fault("has a password or user in its address: name them in the annotation <alias>.pull-secret")
    port = host.rpartition(":")[2]
    if not _HOST.fullmatch(host) or not _CHART.fullmatch(name) or (port.isdecimal() and int(port) > _LARGEST_PORT):
        raise _Fault("is no chart's address: write https://<host>[/<path>]/<chart>")
    return Repository(f"{scheme}://{host.lower()}{slash}{path.rstrip('/')}".rstrip("/"), name)


def _wildcard(written: str) -> Repository:
    host, path = _split_host(written)
    if path == "*":
        raise _Fault("has no organisation before /*: write one, such as quay.io/team/*")
    _repository(written.removesuffix("*") + "any")
    return Repository(host, path)


def _split_host(written: str) -> tuple[str, str]:
    """Tell a registry from the first part of a path as Docker does: by a dot, a port, a capital, or `localhost`."""
    first, slash, rest = written.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        return DOCKER_HUB, written
    return canonical_host(first), rest


def _familiar(repository: Repository) -> str:
    """Return a repository's name as people say it: without the registry, and Docker Hub's without `library/`."""
    return repository.name.removeprefix(_OFFICIAL) if repository.host == DOCKER_HUB else repository.name
