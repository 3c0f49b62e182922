"""Which reference of which ImageUpdater an Application is selected by.

Each distinct pattern with its selector is evaluated once for an Application, and again only when one of the two
changes; everything else is looked up.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import re2

from updater.domain.application import ApplicationName
from updater.domain.errors import Misconfigured
from updater.domain.globs import expression_of_glob
from updater.domain.resources import ApplicationRef, ImageUpdater, LabelRequirement, LabelSelector, ResourceName

_GLOB = frozenset("*?[]")
_UNSPECIFIC = re.compile(r"\[[^\]]*\]|[*?]")
_LITERAL_SCORE = 1_000_000
_SELECTOR_SCORE = 10_000
_REQUIREMENT_SCORE = 100
_OPERATORS = "In, NotIn, Exists or DoesNotExist"


class Claim(NamedTuple):
    """An Application is selected by this reference of this resource."""

    resource: ImageUpdater
    ref: ApplicationRef


class _Matcher(NamedTuple):
    """What decides whether a reference selects an Application; equal ones are evaluated once."""

    namespace: str
    pattern: str
    selector: LabelSelector | None


class _Glob(Protocol):
    def fullmatch(self, text: str) -> object | None: ...


def score(ref: ApplicationRef) -> int:
    """Tell how specific a reference is; of several that match, the one with the highest score counts."""
    literal = 0 if _GLOB.intersection(ref.pattern) else _LITERAL_SCORE
    selector = ref.selector
    labels = 0
    if selector is not None:
        labels = _SELECTOR_SCORE + _REQUIREMENT_SCORE * (len(selector.labels) + len(selector.expressions))
    return literal + len(_UNSPECIFIC.sub("", ref.pattern).encode()) + labels


def by_specificity(refs: tuple[ApplicationRef, ...]) -> list[ApplicationRef]:
    """Order references as they are tried; those of one score as they are written."""
    return sorted(refs, key=score, reverse=True)


def check_pattern(pattern: str) -> str:
    """Say what is wrong with a pattern of names; empty when nothing is."""
    try:
        _glob(pattern)
    except Misconfigured as error:
        return str(error)
    return ""


def check_selector(selector: LabelSelector) -> str:
    """Say what is wrong with a label selector; empty when nothing is."""
    for each in selector.expressions:
        match each.operator:
            case "In" | "NotIn" if not each.values:
                return f"operator {each.operator} of label {each.key!r} has no values: write at least one"
            case "Exists" | "DoesNotExist" if each.values:
                return f"operator {each.operator} of label {each.key!r} has values: leave them out"
            case "In" | "NotIn" | "Exists" | "DoesNotExist":
                continue
            case _:
                return f"operator of label {each.key!r} is {each.operator!r}: write {_OPERATORS}"
    return ""


def labels_match(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Evaluate a label selector; one that cannot be evaluated excludes nothing.

    To skip it would hand its Applications to a less specific reference; as it is, they are told about.
    """
    if selector is None or check_selector(selector):
        return True
    return all(labels.get(key) == value for key, value in selector.labels) and all(
        _requirement_holds(each, labels) for each in selector.expressions
    )


def _requirement_holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case "In":
            return present and labels[requirement.key] in requirement.values
        case "NotIn":
            return not present or labels[requirement.key] not in requirement.values
        case "Exists":
            return present
        case _:
            return not present


@dataclass
class Selection:
    """All references and all Applications, matched; told of each change, it says whom the change concerns."""

    evaluations: int = 0
    """Of one pattern for one Application, so far."""
    _resources: dict[str, dict[ResourceName, ImageUpdater]] = field(default_factory=dict)
    """By namespace: a resource selects Applications of its own."""
    _applications: dict[str, dict[ApplicationName, Mapping[str, str]]] = field(default_factory=dict)
    """By namespace; with their labels."""
    _matches: dict[_Matcher, set[ApplicationName]] = field(default_factory=dict)
    _order: dict[ResourceName, list[ApplicationRef]] = field(default_factory=dict)

    def put_application(self, name: ApplicationName, labels: Mapping[str, str]) -> None:
        known = self._applications.setdefault(name.namespace, {})
        if known.get(name) == labels:
            return
        known[name] = labels
        for matcher in list(self._matches):
            if matcher.namespace == name.namespace:
                self._evaluate(matcher, name, labels)

    def drop_application(self, name: ApplicationName) -> None:
        self._applications.get(name.namespace, {}).pop(name, None)
        for matcher, names in self._matches.items():
            if matcher.namespace == name.namespace:
                names.discard(name)

    def put_resource(self, resource: ImageUpdater) -> set[ApplicationName]:
        """Take in a resource, new or changed; return whose settings may be others now."""
        known = self._resources.setdefault(resource.name.namespace, {})
        before = known.get(resource.name)
        known[resource.name] = resource
        if before is not None and (before.spec, before.created) == (resource.spec, resource.created):
            return set()
        concerned = self._selected_by(before)
        self._order[resource.name] = by_specificity(resource.spec.refs)
        self._evaluate_new(resource)
        self._forget_unused(before)
        return concerned | self._selected_by(resource)

    def drop_resource(self, name: ResourceName) -> set[ApplicationName]:
        before = self._resources.get(name.namespace, {}).pop(name, None)
        concerned = self._selected_by(before)
        self._order.pop(name, None)
        self._forget_unused(before)
        return concerned

    def claims(self, name: ApplicationName) -> tuple[Claim, ...]:
        """Give the one reference of each resource that counts for an Application; the first has precedence.

        The more specific comes first, then the older resource, then the one whose name is first.
        """
        claims = list(self._claims(name))
        claims.sort(key=lambda claim: (-score(claim.ref), claim.resource.created, claim.resource.name))
        return tuple(claims)

    def resources(self) -> Iterator[ImageUpdater]:
        for resources in self._resources.values():
            yield from resources.values()

    def _claims(self, name: ApplicationName) -> Iterator[Claim]:
        for resource in self._resources.get(name.namespace, {}).values():
            if resource.spec.problems:
                continue
            for ref in self._order[resource.name]:
                if name in self._matches[_matcher(resource, ref)]:
                    yield Claim(resource, ref)
                    break

    def _selected_by(self, resource: ImageUpdater | None) -> set[ApplicationName]:
        if resource is None:
            return set()
        return set().union(*(self._matches[_matcher(resource, ref)] for ref in resource.spec.refs))

    def _evaluate_new(self, resource: ImageUpdater) -> None:
        for ref in resource.spec.refs:
            matcher = _matcher(resource, ref)
            if matcher not in self._matches:
                self._matches[matcher] = set()
                self._evaluate_all(matcher)

    def _evaluate_all(self, matcher: _Matcher) -> None:
        applications = self._applications.get(matcher.namespace, {})
        if _GLOB.isdisjoint(matcher.pattern) and "\\" not in matcher.pattern:
            name = ApplicationName(matcher.namespace, matcher.pattern)
            applications = {name: applications[name]} if name in applications else {}
        for name, labels in applications.items():
            self._evaluate(matcher, name, labels)

    def _evaluate(self, matcher: _Matcher, name: ApplicationName, labels: Mapping[str, str]) -> None:
        self.evaluations += 1
        matches = not check_pattern(matcher.pattern) and _glob(matcher.pattern).fullmatch(name.name)
        if matches and labels_match(matcher.selector, labels):
            self._matches[matcher].add(name)
        else:
            self._matches[matcher].discard(name)

    def _forget_unused(self, before: ImageUpdater | None) -> None:
        """Drop what only an earlier form of a resource asked for."""
        if before is None:
            return
        used = {
            _matcher(resource, ref)
            for resource in self._resources[before.name.namespace].values()
            for ref in resource.spec.refs
        }
        for ref in before.spec.refs:
            if _matcher(before, ref) not in used:
                self._matches.pop(_matcher(before, ref), None)


def _matcher(resource: ImageUpdater, ref: ApplicationRef) -> _Matcher:
    return _Matcher(resource.name.namespace, ref.pattern, ref.selector)


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> _Glob:
    try:
        expression = expression_of_glob(pattern)
        compiled: _Glob = re2.compile(expression)
    except (ValueError, re2.error) as error:
        raise Misconfigured(f"{pattern!r} is no pattern ({error}): write a name, or a glob such as team-*") from None
    return compiled
