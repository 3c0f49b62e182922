"""Which registry a login is for."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from updater.settings.registries import RegistrySettings


@dataclass(frozen=True, slots=True)
class Place:
    """A registry by its address, and by what images call it."""

    api_url: str
    hosts: tuple[str, ...]
    """Without ports; a cloud's registry is known by one of them, also behind a proxy or a private link."""

    @classmethod
    def of(cls, settings: RegistrySettings) -> "Place":
        api_host = urlsplit(settings.api_url).hostname or ""
        prefix_host = settings.canonical_prefix.partition("/")[0].partition(":")[0]
        return cls(settings.api_url, tuple(dict.fromkeys(filter(None, (prefix_host, api_host)))))

    def __str__(self) -> str:
        return " or ".join(self.hosts)
