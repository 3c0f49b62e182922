"""An Application's annotations, read: what is tracked, how it is chosen, and what in them is wrong.

Keys and meanings are AIU's, deprecated spellings included; the keys beyond AIU's are listed beside them, those of
images in `image_settings`.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from updater.domain.application import Application
from updater.domain.clashes import clashes, live_reference
from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageEntry, ImageVersion
from updater.domain.image_keys import image_keys, pull_secret
from updater.domain.image_settings import DEPRECATED, IMAGE_KEYS, POLICY_KEYS, PREFIX, ImageSettings
from updater.domain.messages import Problem, TrackedApplication, TrackedImage
from updater.domain.platform import Platform, parse_platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.policy_check import check_policy
from updater.domain.polling import PollKey
from updater.domain.pull_request_settings import KEYS as PULL_REQUEST_KEYS
from updater.domain.references import parse_entry, split_image_list
from updater.domain.secrets import SecretAccess
from updater.domain.target import ImageKeys
from updater.domain.targeting import DEFAULT_KEYS, choose_target

APPLICATION_KEYS = PULL_REQUEST_KEYS | {
    "image-list",
    "write-back-method",
    "write-back-target",
    "git-branch",
    "git-repository",
    "rollback",
}

STRATEGIES = {str(strategy): strategy for strategy in Strategy} | {
    "latest": Strategy.NEWEST_BUILD,
    "name": Strategy.ALPHABETICAL,
}
_WITHOUT_CONSTRAINT = (Strategy.NEWEST_BUILD, Strategy.ALPHABETICAL)
"""AIU's strategies that pass over a constraint: an image that has one goes on, and is told."""
_NO_IMAGES = (
    f"annotation {PREFIX}image-list is missing or empty: name the images to keep up to date, "
    "such as app=registry.example.com/team/app"
)


def track(
    application: Application,
    argocd_namespace: str,
    defaults: Mapping[str, str] | None = None,
    access: SecretAccess | None = None,
) -> TrackedApplication | None:
    """Read an application's annotations; None when none of them is the updater's.

    `defaults` are values for keys that it does not have; one of `pause` holds whatever it has.
    A problem with one image leaves the others tracked; a problem with the application leaves none.
    """
    if not application.annotations:
        return None
    annotations = dict(application.annotations)
    items = split_image_list(annotations.get("image-list", ""))
    if not items:
        return TrackedApplication(application, problems=(Problem("", _NO_IMAGES),))
    access = access or SecretAccess(argocd_namespace)
    entries, ambiguous, problems = _read_entries(items)
    images: dict[str, TrackedImage] = {}
    broken = [
        image
        for entry in ambiguous
        for image in _placed(application, ImageSettings(annotations, entry.alias, defaults or {}), entry, access)
    ]
    for entry in entries:
        settings = ImageSettings(annotations, entry.alias, defaults or {})
        try:
            for meant in _meant(application, entry):
                image = _track_image(application, settings, meant, access)
                images.setdefault(image.alias, image)
        except Misconfigured as error:
            problems.append(Problem(entry.alias, str(error)))
            broken += _placed(application, settings, entry, access)
    for problem in clashes(application, images.values(), broken):
        problems.append(problem)
        del images[problem.alias]
    for problem in _left_alone(annotations, images.values(), problems):
        problems.append(problem)
        del images[problem.alias]
    warnings = (*_unknown_keys(annotations, [entry.alias for entry in entries]), *_not_followed(entries, images))
    return TrackedApplication(application, tuple(images.values()), tuple(problems), warnings)


def _read_entries(items: Sequence[str]) -> tuple[list[ImageEntry], list[ImageEntry], list[Problem]]:
    """Read the entries of an image-list; those come apart of which several have one alias, as none is followed."""
    entries: dict[str, list[ImageEntry]] = {}
    problems: list[Problem] = []
    for item in items:
        try:
            entry = parse_entry(item)
        except Misconfigured as error:
            problems.append(Problem("", f"annotation {PREFIX}image-list: {error}"))
        else:
            entries.setdefault(entry.alias, []).append(entry)
    for alias, same in entries.items():
        if len(same) > 1:
            names = " and ".join(entry.reference.written for entry in same)
            problems.append(Problem(alias, f"alias {alias!r} stands for {names}: give each an alias of its own"))
    single = [same[0] for same in entries.values() if len(same) == 1]
    return single, [entry for same in entries.values() if len(same) > 1 for entry in same], problems


def _meant(application: Application, entry: ImageEntry) -> Iterator[ImageEntry]:
    """Give the entry itself, or for `<registry>/<organisation>/*` one for each live image that it covers."""
    if not entry.reference.written.endswith("/*"):
        yield entry
        return
    prefix = str(entry.reference.repository).removesuffix("*")
    for live in application.live_images or ():
        reference = live_reference(live)
        if reference is not None and str(reference.repository).startswith(prefix):
            alias = parse_entry(reference.written).alias
            yield replace(entry, alias=alias, reference=reference.at(ImageVersion()))


def _left_alone(
    annotations: Mapping[str, str],
    images: Iterable[TrackedImage],
    problems: Iterable[Problem],
) -> list[Problem]:
    """Stop the images of a group of which another cannot be followed: they would move without it."""
    stopped = {annotations.get(f"{problem.alias}.group", "").strip(): problem.alias for problem in problems}
    return [
        Problem(image.alias, f"group {image.group} waits until the settings of {stopped[image.group]} are corrected")
        for image in images
        if image.group and image.group in stopped
    ]


def _track_image(
    application: Application,
    settings: ImageSettings,
    entry: ImageEntry,
    access: SecretAccess,
) -> TrackedImage:
    policy = _policy(settings, entry)
    if entry.reference.is_chart:
        _check_chart(settings, entry, policy, image_keys(settings))
    if policy.strategy is Strategy.DIGEST and not policy.constraint:
        policy = _with_live_tag(policy, entry, application)
    problems = check_policy(policy)
    if problems:
        raise Misconfigured("; ".join(problems))
    return replace(
        _image_at_place(application, settings, entry, access),
        policy=policy,
        poll=PollKey(entry.reference.repository, pull_secret(settings, application, entry.reference, access)),
        force_update=settings.flag("force-update"),
        group=settings["group"],
    )


def _placed(
    application: Application, settings: ImageSettings, entry: ImageEntry, access: SecretAccess
) -> list[TrackedImage]:
    """Tell where an image stands that cannot be followed, if that much can be told: its place is no other image's."""
    try:
        return [_image_at_place(application, settings, meant, access) for meant in _meant(application, entry)]
    except Misconfigured:
        return []


def _image_at_place(
    application: Application, settings: ImageSettings, entry: ImageEntry, access: SecretAccess
) -> TrackedImage:
    keys = image_keys(settings)
    return TrackedImage(
        alias=entry.alias,
        image=entry.reference,
        policy=Policy(),
        poll=PollKey(entry.reference.repository),
        keys=DEFAULT_KEYS if keys == ImageKeys() else keys,
        target=choose_target(application, entry.reference, keys, settings["source"], access),
    )


def _policy(settings: ImageSettings, entry: ImageEntry) -> Policy:
    strategy = _strategy(settings)
    return Policy(
        strategy=strategy,
        constraint="" if strategy in _WITHOUT_CONSTRAINT else entry.constraint,
        allow_tags=settings["allow-tags"],
        ignore_tags=settings.listed("ignore-tags"),
        skip_tags=settings.listed("skip-tags"),
        platforms=settings.read("platforms", _platforms),
        output=_output(settings),
        extract=settings["extract"],
        sort=settings["sort"],
        minimum_age=settings.read("minimum-age", _age),
        allow_downgrade=settings.flag("allow-downgrade"),
        of_chart=entry.reference.is_chart,
        semver_loose=settings.flag("semver-loose"),
        rollback_overwrite=_rollback(settings),
        pin=settings["pin"],
        release=settings["release"],
        paused=_paused(settings),
        schedule=settings["schedule"],
    )


def _strategy(settings: ImageSettings) -> Strategy:
    text = settings["update-strategy"]
    strategy = STRATEGIES.get(text.lower() or Strategy.SEMVER)
    if strategy is None:
        raise settings.wrong("update-strategy", text, f"write one of {', '.join(STRATEGIES)}")
    return strategy


def _platforms(text: str) -> tuple[Platform, ...]:
    return tuple(parse_platform(item) for item in text.split(",") if item.strip())


def _age(text: str) -> timedelta:
    return timedelta(seconds=parse_go_duration(text)) if text else timedelta()


def _output(settings: ImageSettings) -> Output | None:
    text = settings["output"]
    try:
        return Output(text) if text else None
    except ValueError:
        raise settings.wrong("output", text, f"write one of {', '.join(Output)}") from None


def _paused(settings: ImageSettings) -> str:
    if settings.defaults.get("pause"):
        return "updates.pause is set for all of them"
    return "the annotation pause is set" if settings.flag("pause") else ""


def _rollback(settings: ImageSettings) -> bool:
    text = settings["rollback"]
    if text not in ("", "respect", "overwrite"):
        raise settings.wrong("rollback", text, "write respect or overwrite")
    return text == "overwrite"


def _with_live_tag(policy: Policy, entry: ImageEntry, application: Application) -> Policy:
    """Follow the deployed tag's digest, when the image-list names no tag."""
    for live in application.live_images or ():
        reference = live_reference(live)
        if reference and reference.repository == entry.reference.repository and reference.version.tag:
            return replace(policy, constraint=reference.version.tag)
    raise Misconfigured(
        f"image {entry.reference.written} has update-strategy digest but names no tag, and none is deployed: "
        f"write {entry.alias}={entry.reference.written}:<tag> in the image-list",
    )


def _check_chart(settings: ImageSettings, entry: ImageEntry, policy: Policy, keys: ImageKeys) -> None:
    """Refuse what has no meaning for a chart: it has versions and no images.

    Raises:
        Misconfigured
    """
    by_image = policy.strategy is Strategy.NEWEST_BUILD and not entry.reference.repository.is_helm
    if policy.strategy is Strategy.DIGEST or by_image:
        raise settings.wrong(
            "update-strategy",
            str(policy.strategy),
            f"{entry.reference.written} is a chart, whose versions are written: use semver or newest-push",
        )
    if policy.output not in (None, Output.TAG):
        raise settings.wrong(
            "output", str(policy.output), f"{entry.reference.written} is a chart: write tag, or nothing"
        )
    if keys != ImageKeys():
        raise Misconfigured(
            f"annotations {settings.alias}.helm.* and {settings.alias}.kustomize.* have no meaning for the chart "
            f"{entry.reference.written}, whose version is the targetRevision of its source: remove them"
        )


def _not_followed(entries: Iterable[ImageEntry], images: Mapping[str, TrackedImage]) -> Iterator[Problem]:
    for entry in entries:
        image = images.get(entry.alias)
        if image and entry.constraint and image.policy.strategy in _WITHOUT_CONSTRAINT:
            yield Problem(
                entry.alias,
                f"constraint {entry.constraint!r} of {entry.reference.written} is not followed, as update-strategy "
                f"{image.policy.strategy} has no versions: remove it, and choose tags with allow-tags",
            )


def _unknown_keys(annotations: Mapping[str, str], aliases: list[str]) -> Iterator[Problem]:
    known = {*APPLICATION_KEYS, *POLICY_KEYS, *DEPRECATED}
    per_image = POLICY_KEYS | IMAGE_KEYS | DEPRECATED.keys()
    known.update(f"{alias}.{key}" for alias in aliases for key in per_image)
    for key in sorted(annotations.keys() - known):
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "remove it, or see the list of annotations"
        alias = next((alias for alias in aliases if key.startswith(f"{alias}.")), "")
        yield Problem(alias, f"annotation {PREFIX}{key} is not understood: {hint}")
