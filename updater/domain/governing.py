"""What holds for the images of an Application, once its annotations, ImageUpdaters and defaults are laid together.

Precedence, high to low: annotation of the image, annotation of the application, resource's image, reference, resource,
defaults. The result of each owner is written down as annotations, and read as these are: one meaning, one place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from updater.domain.annotations import APPLICATION_KEYS, track
from updater.domain.application import Application
from updater.domain.clashes import clashes
from updater.domain.errors import Misconfigured
from updater.domain.image_settings import DEPRECATED, POLICY_KEYS, PREFIX
from updater.domain.messages import ClaimOutcome, Conflict, Problem, TrackedApplication, TrackedImage
from updater.domain.policy import Output
from updater.domain.references import parse_entry, split_image_list
from updater.domain.resources import ResourceImage, ResourceName, Setting, Settings, Verification
from updater.domain.secrets import SecretAccess
from updater.domain.selection import Claim

_IMAGE_LIST = "image-list"
_TARGET_KEYS = ("helm.", "kustomize.", "plugin.")
"""How the keys begin that say where in the manifests an image stands; they are given together or not at all."""
_NAMED = re.compile(rf"annotation (?:{re.escape(PREFIX)})?([A-Za-z0-9._/-]*[A-Za-z0-9])")


def govern(
    application: Application,
    claims: Sequence[Claim],
    defaults: Mapping[str, str],
    argocd_namespace: str,
    access: SecretAccess | None = None,
) -> TrackedApplication | None:
    """Read everything that is said about an Application; None when nothing is.

    Args:
        application: with its own annotations.
        claims: the references that select it, the first with precedence.
        defaults: what holds where nobody says anything, by the annotation's key.
        argocd_namespace: where Argo CD itself lives.
        access: whose Secrets an application may use; None: those of its own namespace.
    """
    plan = _share_out(application, claims, defaults)
    if not plan.views and not any(outcome.problems or outcome.conflicts for outcome in plan.outcomes):
        return None
    images: list[TrackedImage] = []
    told: dict[ResourceName, TrackedApplication] = {}
    problems = [
        Problem("", f"ImageUpdater {outcome.resource}: {text}")
        for outcome in plan.outcomes
        for text in outcome.problems
    ]
    warnings: list[Problem] = []
    for view in plan.views:
        tracked = track(replace(application, annotations=view.annotations), argocd_namespace, view.defaults, access)
        if tracked is not None:
            images += [_verified(image, _verification(view, image, claims)) for image in tracked.images]
            placed = tuple(view.placed(problem) for problem in tracked.problems)
            problems += placed
            if view.reporter is not None:
                told[view.reporter] = replace(tracked, problems=placed)
            warnings += tracked.warnings
    stopped = {problem.alias: problem for problem in clashes(application, images)}
    outcomes = tuple(_with_result(each, told.get(each.resource), stopped) for each in plan.outcomes)
    images = [image for image in images if image.alias not in stopped]
    problems += stopped.values()
    return TrackedApplication(application, tuple(images), tuple(problems), tuple(warnings), outcomes)


def written_as_annotations(application: Application, claims: Sequence[Claim]) -> list[tuple[Claim, Mapping[str, str]]]:
    """Say for each claim that owns images what the Application's annotations would have to be without it."""
    plan = _share_out(application, claims, {})
    return [(view.owner, view.annotations) for view in plan.views if view.owner is not None]


@dataclass(frozen=True, slots=True)
class _View:
    """An Application as one owner of some of its images has it: every setting an annotation."""

    annotations: Mapping[str, str]
    defaults: Mapping[str, str]
    owner: Claim | None = None
    """None: the annotations themselves."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where a value really stands, by its key among the annotations; missing for real annotations."""
    reporter: ResourceName | None = None
    """The resource whose status tells of these images; None: no resource has them."""

    def placed(self, problem: Problem) -> Problem:
        """Say where the value stands that a problem calls an annotation."""

        def place(found: re.Match[str]) -> str:
            return self.places.get(found[1], found[0])

        return Problem(problem.alias, _NAMED.sub(place, problem.message))


@dataclass(slots=True)
class _Plan:
    """Who owns which image."""

    views: list[_View] = field(default_factory=list)
    outcomes: tuple[ClaimOutcome, ...] = ()


def _share_out(application: Application, claims: Sequence[Claim], defaults: Mapping[str, str]) -> _Plan:
    """Give each image to one owner: the annotations before the resources, these in the order of their claims."""
    own = application.annotations
    adopter = next((claim for claim in claims if claim.ref.use_annotations), None)
    listed = _aliases(own.get(_IMAGE_LIST, ""))
    annotated = bool(own) and (bool(own.get(_IMAGE_LIST, "").strip()) or not _offers_images(claims))
    owners: dict[str, str] = {}
    if annotated:
        owner = f"ImageUpdater {adopter.resource.name}, by the annotations" if adopter else "the annotations"
        owners = dict.fromkeys(listed, f"{owner} of the Application")
    owned: list[tuple[Claim, list[ResourceImage]]] = []
    outcomes = []
    for claim in claims:
        outcome, images = _outcome(claim, adopter, listed if annotated else (), owners)
        outcomes.append(outcome)
        if images:
            owned.append((claim, images))
    plan = _Plan(outcomes=tuple(outcomes))
    others = [image.alias for _, images in owned for image in images]
    if annotated:
        keys = _without(own, others)
        view = _annotated_view(keys, claims[0] if claims else None, defaults)
        plan.views.append(replace(view, reporter=adopter.resource.name if adopter else None))
    for number, (claim, images) in enumerate(owned):
        mine = [image.alias for image in images]
        theirs = [alias for alias in [*listed, *others] if alias not in mine]
        rest = number == 0 and not annotated
        keys = _without(own, theirs) if rest else _only(own, mine)
        plan.views.append(_resource_view(keys, claim, images, defaults))
    return plan


def _offers_images(claims: Sequence[Claim]) -> bool:
    return any(not claim.ref.use_annotations for claim in claims)


def _outcome(
    claim: Claim,
    adopter: Claim | None,
    listed: Sequence[str],
    owners: dict[str, str],
) -> tuple[ClaimOutcome, list[ResourceImage]]:
    """Give a claim those of its images that nobody owns yet, and note who owns the others."""
    ref, name = claim.ref, claim.resource.name
    if ref.problems:
        return ClaimOutcome(name, problems=ref.problems), []
    if ref.use_annotations:
        if claim is adopter:
            return ClaimOutcome(name, aliases=tuple(listed)), []
        return ClaimOutcome(name, conflicts=tuple(Conflict(alias, owners[alias]) for alias in listed)), []
    conflicts = tuple(Conflict(image.alias, owners[image.alias]) for image in ref.images if image.alias in owners)
    images = [image for image in ref.images if image.alias not in owners]
    owners.update(dict.fromkeys((image.alias for image in images), f"ImageUpdater {name}, {ref.place}"))
    problems = tuple(image.problem for image in images if image.problem)
    usable = [image for image in images if not image.problem]
    return ClaimOutcome(name, tuple(image.alias for image in usable), problems, conflicts=conflicts), usable


def _annotated_view(annotations: Mapping[str, str], claim: Claim | None, defaults: Mapping[str, str]) -> _View:
    """Let a reference fill in what the annotations leave open.

    With `useAnnotations` the resource says that annotations alone count.
    """
    layers: list[Settings] = []
    if claim is not None and not claim.ref.use_annotations:
        layers = [claim.ref.settings, claim.resource.spec.settings]
    filled = _Filled(annotations, claim)
    for key in _keys(layers):
        filled.fill(key, key, layers)
    return _View(filled.annotations, filled.left(defaults), None, filled.places)


def _resource_view(
    annotations: Mapping[str, str], claim: Claim, images: Sequence[ResourceImage], defaults: Mapping[str, str]
) -> _View:
    common = [claim.ref.settings, claim.resource.spec.settings]
    lowest: Settings = {key: Setting(text, f"the default of {key}") for key, text in defaults.items()}
    filled = _Filled(annotations, claim)
    for key in _keys(common) & APPLICATION_KEYS:
        filled.fill(key, key, common)
    for image in images:
        layers = [image.settings, *common, lowest]
        for key in _keys(layers) - APPLICATION_KEYS:
            filled.fill(f"{image.alias}.{key}", key, layers, image.alias)
    # A comma would end the entry; between the terms of a range a space means the same.
    entries = [f"{image.alias}={image.image.replace(',', ' ')}" for image in images]
    places = {_IMAGE_LIST: f"ImageUpdater {claim.resource.name}, {claim.ref.place}.images"}
    texts = {**filled.annotations, _IMAGE_LIST: ", ".join(entries)}
    return _View(texts, filled.left(defaults), claim, {**filled.places, **places}, claim.resource.name)


class _Filled:
    """Annotations, and below them what a claim says."""

    def __init__(self, annotations: Mapping[str, str], claim: Claim | None) -> None:
        self._own = {key for key, text in annotations.items() if text.strip()}
        self._resource = f"ImageUpdater {claim.resource.name}, " if claim else ""
        self._emptied: set[str] = set()
        self.annotations = dict(annotations)
        self.places: dict[str, str] = {}

    def fill(self, place: str, key: str, layers: Iterable[Settings], alias: str = "") -> None:
        """Set a key by the first layer that has it, unless an annotation of the image or the application does."""
        setting = next(layer[key] for layer in layers if key in layer)
        if self._says(key, alias):
            return
        if not setting.text:
            self._emptied.add(key)
            return
        self.annotations[place] = setting.text
        self.places[place] = f"{self._resource if setting.place.startswith('spec.') else ''}{setting.place}"

    def left(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """Leave out the defaults that somebody set to nothing."""
        return {key: text for key, text in defaults.items() if key not in self._emptied}

    def _says(self, key: str, alias: str) -> bool:
        if alias and key.startswith(_TARGET_KEYS):
            return any(each.startswith(tuple(f"{alias}.{start}" for start in _TARGET_KEYS)) for each in self._own)
        spellings = [key, *(old for old, present in DEPRECATED.items() if present == key)]
        return any(each in self._own or f"{alias}.{each}" in self._own for each in spellings)


def _keys(layers: Iterable[Settings]) -> set[str]:
    return set().union(*layers)


def _aliases(image_list: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_readable_aliases(image_list)))


def _readable_aliases(image_list: str) -> Iterator[str]:
    for item in split_image_list(image_list):
        try:
            yield parse_entry(item).alias
        except Misconfigured:
            continue  # it is told when the annotations are read


def _without(annotations: Mapping[str, str], aliases: Sequence[str]) -> dict[str, str]:
    """Leave out the annotations of other owners' images."""
    theirs = tuple(f"{alias}." for alias in aliases)
    return {key: text for key, text in annotations.items() if not key.startswith(theirs)}


def _only(annotations: Mapping[str, str], aliases: Sequence[str]) -> dict[str, str]:
    """Keep what is understood of the application as a whole, and the annotations of these images."""
    mine = tuple(f"{alias}." for alias in aliases)
    common = APPLICATION_KEYS | POLICY_KEYS | DEPRECATED.keys()
    return {key: text for key, text in annotations.items() if key in common or key.startswith(mine)}


def _with_result(
    outcome: ClaimOutcome, tracked: TrackedApplication | None, stopped: Mapping[str, Problem]
) -> ClaimOutcome:
    """Say which images a claim has in the end, and what stops the others: some because of another owner's images."""
    if tracked is None:
        return replace(outcome, aliases=())
    aliases = [image.alias for image in tracked.images]
    problems = [*tracked.problems, *(stopped[alias] for alias in aliases if alias in stopped)]
    return replace(
        outcome,
        aliases=tuple(alias for alias in aliases if alias not in stopped),
        failures=tuple(problem.message for problem in problems),
    )


def _verification(view: _View, image: TrackedImage, claims: Sequence[Claim]) -> Verification | None:
    """Find who says how an image is verified: its owner first, then everybody else who has a say.

    An annotation cannot take back what a resource demands, nor get around it under another alias.
    """
    ordered = [view.owner, *claims] if view.owner else list(claims)
    for claim in ordered:
        entry = _entry_for(image, claim.ref.images)
        levels = [entry.verification if entry else None, claim.ref.verification, claim.resource.spec.verification]
        found = next((level for level in levels if level is not None), None)
        if found is not None:
            return found if found.enabled else None
    return None


def _entry_for(image: TrackedImage, entries: Sequence[ResourceImage]) -> ResourceImage | None:
    """Find an image's entry by its alias, else one that names or covers its repository."""
    for entry in entries:
        if entry.alias == image.alias:
            return entry
    return next((entry for entry in entries if _covers(entry, str(image.image.repository))), None)


def _covers(entry: ResourceImage, repository: str) -> bool:
    try:
        named = str(parse_entry(f"{entry.alias}={entry.image}").reference.repository)
    except Misconfigured:
        return False
    return repository.startswith(named.removesuffix("*")) if named.endswith("/*") else repository == named


def _verified(image: TrackedImage, verification: Verification | None) -> TrackedImage:
    """Demand a signature; the digest that carries it is what is written, unless an output was asked for.

    A chart has no place for a digest.
    """
    if verification is None:
        return image
    policy = image.policy
    return replace(
        image,
        verification=verification,
        policy=policy if policy.output is not None or policy.of_chart else replace(policy, output=Output.TAG_DIGEST),
    )
