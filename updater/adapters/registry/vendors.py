"""Registries with a tag list of their own: how each is recognised, asked and read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote, urlsplit

from updater.domain.secrets import SecretKind
from updater.formats.vendor_tags import (
    Page,
    decode_azure,
    decode_docker_hub,
    decode_gitlab,
    decode_google,
    decode_harbor,
    decode_quay,
)
from updater.settings.registries import AUTO


class Identity(Enum):
    """As whom a list is asked for."""

    NOBODY = auto()
    """The API knows other accounts than the registry: only what is public can be had."""
    REGISTRY = auto()
    """As the registry itself wants it."""
    BASIC = auto()
    """With user and password, without being asked for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A kind of registry."""

    name: str
    """As `api` in registries.conf spells it."""
    newest_first: bool = True
    """Else all of its pages are read each time."""
    tells_moves: bool = True
    """A look finds each tag that points elsewhere by now, whatever it points to."""
    is_elsewhere: bool = False
    """The API is at another host than the registry, and may be down while that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpVendor(Vendor):
    """Has a list that is asked for as the registry itself is."""

    first: Callable[[str], str]
    """Path of the first page, by the repository's name."""
    decode: Callable[[bytes], Page]
    identity: Identity
    base: str = ""
    """Where the API is when that is another host than the registry's."""
    probe: str = ""
    """Path that answers only where this vendor's API is; empty: it cannot be told without being configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudVendor(Vendor):
    """Has a list that is asked for in the cloud's own way, as the identity that the cloud gives to the daemon."""

    cloud: SecretKind


def _docker_hub(name: str) -> str:
    namespace, _, repository = name.partition("/")
    return f"v2/namespaces/{namespace}/repositories/{repository}/tags?page_size=100&ordering=last_updated"


def _harbor(name: str) -> str:
    project, _, repository = name.partition("/")
    encoded = quote(quote(repository, safe=""), safe="")
    return (
        f"api/v2.0/projects/{quote(project, safe='')}/repositories/{encoded}/artifacts"
        "?with_tag=true&q=tags%3D*&sort=-push_time&page_size=100&page=1"
    )


_VENDORS: tuple[Vendor, ...] = (
    HttpVendor(
        name="docker-hub",
        first=_docker_hub,
        decode=decode_docker_hub,
        identity=Identity.NOBODY,
        base="https://hub.docker.com",
        is_elsewhere=True,
    ),
    HttpVendor(
        name="quay",
        first=lambda name: f"api/v1/repository/{name}/tag/?limit=100&page=1&onlyActiveTags=true",
        decode=decode_quay,
        identity=Identity.NOBODY,
    ),
    HttpVendor(
        name="harbor",
        first=_harbor,
        decode=decode_harbor,
        identity=Identity.BASIC,
        tells_moves=False,
        probe="api/v2.0/ping",
    ),
    HttpVendor(
        name="gitlab",
        first=lambda name: f"gitlab/v1/repositories/{name}/tags/list/?n=1000&sort=-published_at",
        decode=decode_gitlab,
        identity=Identity.REGISTRY,
        probe="gitlab/v1/",
    ),
    HttpVendor(
        name="azure",
        first=lambda name: f"acr/v1/{name}/_tags?orderby=timedesc&n=100",
        decode=decode_azure,
        identity=Identity.REGISTRY,
    ),
    HttpVendor(
        name="google",
        first=lambda name: f"v2/{name}/tags/list?n=10000",
        decode=decode_google,
        identity=Identity.REGISTRY,
        newest_first=False,
    ),
    CloudVendor(name="ecr", cloud=SecretKind.AWS, newest_first=False, is_elsewhere=True),
    CloudVendor(name="alibaba", cloud=SecretKind.ALIBABA, newest_first=False, is_elsewhere=True),
)
VENDORS = {vendor.name: vendor for vendor in _VENDORS}
PROBED = tuple(vendor for vendor in _VENDORS if isinstance(vendor, HttpVendor) and vendor.probe)

_HOSTS = {
    "registry-1.docker.io": "docker-hub",
    "index.docker.io": "docker-hub",
    "quay.io": "quay",
    "registry.gitlab.com": "gitlab",
    "gcr.io": "google",
    "registry.k8s.io": "google",
}
_SUFFIXES = {
    ".gcr.io": "google",
    "-docker.pkg.dev": "google",
    ".azurecr.io": "azure",
    ".azurecr.cn": "azure",
    ".azurecr.us": "azure",
    ".amazonaws.com": "ecr",
    ".amazonaws.com.cn": "ecr",
    ".on.aws": "ecr",
    ".cr.aliyuncs.com": "alibaba",
}
_NAMES_ALONE = ("ghcr.io", "mcr.microsoft.com", "cgr.dev", "nvcr.io", "public.ecr.aws")
"""Registries of which it is known that they have names alone."""


def vendor_of(api: str, api_url: str) -> Vendor | None:
    """Tell a registry's vendor by what is configured, or by its host."""
    if api != AUTO:
        return VENDORS.get(api)
    host = _host(api_url)
    suffix = next((suffix for suffix in _SUFFIXES if host.endswith(suffix)), "")
    return VENDORS.get(_HOSTS.get(host, "") or _SUFFIXES.get(suffix, ""))


def is_known(api: str, api_url: str) -> bool:
    """Say whether nothing but asking the registry could tell more of its vendor."""
    host = _host(api_url)
    return api != AUTO or vendor_of(api, api_url) is not None or host in _NAMES_ALONE


def _host(api_url: str) -> str:
    return (urlsplit(api_url).hostname or "").lower()
