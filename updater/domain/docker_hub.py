"""Docker Hub, which has more names than any other registry."""

DOCKER_HUB = "docker.io"
DOCKER_HUB_NAMESPACE = "library"
"""Of the images that are named without any."""

_SPELLINGS = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


def canonical_host(host: str) -> str:
    """Return a registry's host in lower case, and Docker Hub's in its one spelling."""
    lower = host.lower()
    return DOCKER_HUB if lower in _SPELLINGS else lower
