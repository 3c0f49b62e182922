"""An Argo CD Application as far as images are concerned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ApplicationName(NamedTuple):
    """An Application's identity in a cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A Helm parameter, or a plugin's environment variable, of a source."""

    name: str
    value: str
    force_string: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of `spec.source`, `spec.sources` or `spec.sourceHydrator.drySource`."""

    repo_url: str
    """Without user and password."""
    path: str = ""
    target_revision: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    kind: str = ""
    """`Helm`, `Kustomize`, `Plugin` or `Directory`, from `status` or an explicit block; empty when neither tells."""
    helm_parameters: tuple[Parameter, ...] = ()
    value_files: tuple[str, ...] = ()
    kustomize_images: tuple[str, ...] = ()
    plugin_env: tuple[Parameter, ...] = ()
    pointer: str = "/spec/source"
    """Where it stands in the Application, as a JSON pointer."""


@dataclass(frozen=True, slots=True)
class Application:
    """What of an Application decides about its images; equal Applications need no second look."""

    name: ApplicationName
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those of the updater's own prefix alone, without the prefix."""
    labels: Mapping[str, str] = field(default_factory=dict)
    project: str = "default"
    sources: tuple[Source, ...] = ()
    hydrated: bool = False
    """Whether its manifests are rendered into another branch first, from `spec.sourceHydrator.drySource`."""
    generated_by: str = ""
    """The ApplicationSet, in the same namespace, whose controller made it; empty when none did."""
    live_images: tuple[str, ...] | None = None
    """`status.summary.images`; None when Argo CD has not said anything yet."""
