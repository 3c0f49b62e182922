"""Registries with a tag list of their own: how each is recognised, asked and read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import quote, urlsplit

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


@dataclass(frozen=True, slots=True)
class Vendor:
    """A kind of registry."""

    name: str
    """As `api` in registries.conf spells it."""
    first: Callable[[str], str]
    """Path of the first page, by the repository's name."""
    decode: Callable[[bytes], Page]
    identity: Identity
    newest_first: bool = True
    tells_moves: bool = True
    """A tag that points elsewhere comes first in the list, whatever it points to."""
    base: str = ""
    """Where the API is when that is another host than the registry's."""
    probe: str = ""
    """Path that answers only where this vendor's API is; empty: it cannot be told without being configured."""


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


_VENDORS = (
    Vendor("docker-hub", _docker_hub, decode_docker_hub, Identity.NOBODY, base="https://hub.docker.com"),
    Vendor(
        "quay",
        lambda name: f"api/v1/repository/{name}/tag/?limit=100&page=1&onlyActiveTags=true",
        decode_quay,
        Identity.NOBODY,
    ),
    Vendor("harbor", _harbor, decode_harbor, Identity.BASIC, tells_moves=False, probe="api/v2.0/ping"),
    Vendor(
        "gitlab",
        lambda name: f"gitlab/v1/repositories/{name}/tags/list/?n=1000&sort=-published_at",
        decode_gitlab,
        Identity.REGISTRY,
        probe="gitlab/v1/",
    ),
    Vendor("azure", lambda name: f"acr/v1/{name}/_tags?orderby=timedesc&n=100", decode_azure, Identity.REGISTRY),
    Vendor(
        "google",
        lambda name: f"v2/{name}/tags/list?n=10000",
        decode_google,
        Identity.REGISTRY,
        newest_first=False,
    ),
)
VENDORS = {vendor.name: vendor for vendor in _VENDORS}
PROBED = tuple(vendor for vendor in _VENDORS if vendor.probe)

_HOSTS = {
    "registry-1.docker.io": "docker-hub",
    "index.docker.io": "docker-hub",
    "quay.io": "quay",
    "registry.gitlab.com": "gitlab",
    "gcr.io": "google",
    "registry.k8s.io": "google",
}
_SUFFIXES = {".gcr.io": "google", "-docker.pkg.dev": "google", ".azurecr.io": "azure"}
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
    return api != AUTO or vendor_of(api, api_url) is not None or host in _NAMES_ALONE or host.endswith(".amazonaws.com")


def _host(api_url: str) -> str:
    return (urlsplit(api_url).hostname or "").lower()
