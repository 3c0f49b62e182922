"""What an ApplicationSet's controller leaves alone in the Applications that it generates, and what it takes back."""

import re
from dataclasses import dataclass

from updater.domain.application import Application
from updater.domain.target import ApplicationTarget, FileKind

_FIELDS = {
    FileKind.OVERRIDE_HELM: "helm/parameters",
    FileKind.OVERRIDE_KUSTOMIZE: "kustomize/images",
    FileKind.OVERRIDE_PLUGIN: "plugin/env",
    FileKind.CHART: "targetRevision",
}
_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_]*)|\.?\[?\"([^\"]+)\"\]?|\[([0-9]*)\]")
_EVERY = "*"
_CREATING = frozenset({"create-only", "create-delete"})


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One entry of `spec.ignoreApplicationDifferences`."""

    application: str = ""
    """Empty: all that the ApplicationSet generates."""
    json_pointers: tuple[str, ...] = ()
    jq_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplicationSetRules:
    """As much of an ApplicationSet as says what becomes of changes that others make."""

    sync: str = ""
    """`spec.syncPolicy.applicationsSync`; empty: the controller's own, which is to sync."""
    ignored: tuple[IgnoreRule, ...] = ()

    def spare(self, application: str, pointer: str) -> bool:
        """Tell whether what is written to a place of an Application stays."""
        rules = [rule for rule in self.ignored if rule.application in ("", application)]
        return self.sync in _CREATING or any(_covers(rule, pointer) for rule in rules)


def written_pointer(application: Application, target: ApplicationTarget) -> str:
    """Return where a target is written in its Application, as a JSON pointer."""
    return f"{application.sources[target.source].pointer}/{_FIELDS[target.kind]}"


def _covers(rule: IgnoreRule, pointer: str) -> bool:
    steps = pointer.strip("/").split("/")
    return any(_begins(steps, each.strip("/").split("/")) for each in rule.json_pointers) or any(
        _jq_covers(each.strip(), steps) for each in rule.jq_paths
    )


def _jq_covers(expression: str, steps: list[str]) -> bool:
    """Follow a plain path; of anything more, believe that whoever wrote it for the source meant what we write."""
    path: list[str] = []
    position = 0
    while matched := _STEP.match(expression, position):
        name, quoted, index = matched.groups()
        path.append(name or quoted or index or _EVERY)
        position = matched.end()
    if position < len(expression):
        return expression.startswith(".spec.source")
    return _begins(steps, path)


def _begins(steps: list[str], path: list[str]) -> bool:
    if len(path) > len(steps):
        return False
    return all(wanted in (step, _EVERY) for step, wanted in zip(steps, path, strict=False))
