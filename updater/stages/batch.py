"""Plan one commit: what each decided update means for the files as they are now. Pure, and safe to run in a thread."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from updater.domain.application import ApplicationName
from updater.domain.candidates import Labels
from updater.domain.change import Change, Edit
from updater.domain.clashes import clashes
from updater.domain.decision import Current, Decision, Hold, Invalid, Memory, Reason, Update
from updater.domain.election import judge
from updater.domain.errors import EditError
from updater.domain.group import Ballot, held_apart
from updater.domain.image import ImageVersion, Repository
from updater.domain.messages import ImageIdentity, UpdateDecided
from updater.domain.path_globs import PathGlob
from updater.domain.target import FileKind, GitTarget
from updater.formats.targets import Texts, apply_to_all, check_free, read_version, read_versions
from updater.stages.parting import git_target
from updater.stages.present import edit_for, unmanaged, witnessed

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CHART = "Chart.yaml"
_VALUES = "values.yaml"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

Files = Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Planned:
    """An update that the files do want."""

    decided: UpdateDecided
    update: Update
    current: Current
    labels: Labels = ()
    """Of the new image, where they were read for the message alone."""

    @property
    def change(self) -> Change:
        return Change(
            application=self.decided.tracked.name,
            alias=self.decided.image.alias,
            image=self.decided.image.image.written,
            previous=self.current.version,
            version=self.update.version,
            labels=self.polled_labels() or dict(self.labels),
        )

    def polled_labels(self) -> Mapping[str, str]:
        """Give the labels behind the new version; of several platforms, those of the first that has one."""
        builds = self.decided.election.record_of(self.update.version).builds or ()
        return {key: value for build in reversed(builds) for key, value in build.labels}


@dataclass(slots=True)
class Plan:
    """What to write, what needs nothing, and what cannot be done."""

    files: dict[str, bytes] = field(default_factory=dict)
    planned: list[Planned] = field(default_factory=list)
    settled: list[tuple[UpdateDecided, Decision]] = field(default_factory=list)
    failed: list[tuple[UpdateDecided, str]] = field(default_factory=list)


def planned_by_application(planned: Iterable[Planned]) -> list[list[Planned]]:
    """Part what is planned, each application's in the order of its aliases."""
    ordered = sorted(planned, key=lambda each: (each.decided.tracked.name, each.decided.image.alias))
    return [list(group) for _, group in groupby(ordered, key=lambda each: each.decided.tracked.name)]


def paths_to_read(decided: UpdateDecided) -> list[str]:
    """Name the files that say where an update stands: the target, and what it overrides where that may matter.

    Plain manifests have to be looked for first: `manifests_to_find` gives their glob.
    """
    target = git_target(decided)
    if target.kind is FileKind.MANIFESTS:
        return []
    if target.kind is FileKind.KUSTOMIZATION:
        return [_join(target.path, name) for name in KUSTOMIZATION_NAMES]
    if target.manifest_of:
        return [target.path]
    live_unknown = not decided.tracked.application.live_images
    if target.kind is FileKind.OVERRIDE or (live_unknown and target.kind in _OVERRIDES):
        names = [_CHART, _VALUES, *KUSTOMIZATION_NAMES]
        return [target.path, *(_join(target.base_path, name) for name in names)]
    return [target.path]


def manifests_to_find(decided: UpdateDecided) -> PathGlob | None:
    target = git_target(decided)
    return PathGlob.of(target.path) if target.kind is FileKind.MANIFESTS else None


def plan(
    batch: Sequence[UpdateDecided],
    files: Files,
    memories: Mapping[ImageIdentity, Memory],
    now: datetime,
) -> Plan:
    """Decide each update again on what the files hold, and edit those that need it, each file once.

    What cannot be edited holds the others of its group: all is planned again then, without it.
    """
    refused: dict[ImageIdentity, str] = {}
    while True:
        result = _plan(batch, files, memories, now, refused)
        groups = {_group(each.decided) for each in result.planned} - {None}
        parting = {decided.identity: why for decided, why in result.failed if _group(decided) in groups}
        parting |= _overwritten(result.planned, {**files, **result.files})
        if not parting:
            return result
        refused |= parting


def _overwritten(planned: Sequence[Planned], files: Files) -> dict[ImageIdentity, str]:
    """Name what another image wrote over, whose glob matches the same line of a manifest; both are refused."""
    by_image: dict[tuple[str, Repository], list[Planned]] = {}
    for each in planned:
        paths, kind = _locate(each.decided, files)
        for path in paths if kind is FileKind.MANIFESTS else ():
            by_image.setdefault((path, each.decided.image.image.repository), []).append(each)
    found: dict[ImageIdentity, str] = {}
    for (path, _), sharing in by_image.items():
        for one in sharing if len({each.update.version for each in sharing}) > 1 else ():
            edit = edit_for(one.decided.image, one.update.version)
            held = read_versions(FileKind.MANIFESTS, _texts([path], files), edit)
            for other in [each for each in sharing if each.update.version in set(held) - {one.update.version}]:
                found[one.decided.identity] = _rivalry(path, one, other)
                found[other.decided.identity] = _rivalry(path, other, one)
    return found


def _rivalry(path: str, one: Planned, other: Planned) -> str:
    name, alias = other.decided.identity
    return (
        f"{path}: a line with {one.decided.image.image.written} is to have {one.update.version}, and "
        f"{other.update.version} for {alias} of {name}, whose write-back-target {git_target(other.decided).path} "
        "matches the file too: let the targets match different files, or give each lines of its own with the comment "
        "`# updater: <alias>`"
    )


def _group(decided: UpdateDecided) -> tuple[ApplicationName, str] | None:
    return (decided.tracked.name, decided.image.group) if decided.image.group else None


def _plan(
    batch: Sequence[UpdateDecided],
    files: Files,
    memories: Mapping[ImageIdentity, Memory],
    now: datetime,
    refused: Mapping[ImageIdentity, str],
) -> Plan:
    result = Plan()
    wanted: dict[tuple[tuple[str, ...], FileKind], list[Planned]] = {}
    settled: list[_Settled] = []
    for decided in batch:
        if decided.identity in refused:
            result.failed.append((decided, refused[decided.identity]))
            continue
        try:
            paths, kind = _locate(decided, files)
            current, decision = _settle(decided, paths, kind, files, memories[decided.identity], now)
        except EditError as error:
            result.failed.append((decided, str(error)))
        else:
            settled.append(_Settled(decided, (paths, kind), current, decision))
    for each in _kept_together(settled, [decided for decided, _ in result.failed]):
        if isinstance(each.decision, Update):
            wanted.setdefault(each.files, []).append(Planned(each.decided, each.decision, each.current))
        else:
            result.settled.append((replace(each.decided, current=each.current), each.decision))
    for (paths, kind), planned in wanted.items():
        _edit(paths, kind, planned, files, result)
    return result


class _Settled(NamedTuple):
    """What the files mean for one update."""

    decided: UpdateDecided
    files: tuple[tuple[str, ...], FileKind]
    current: Current
    decision: Decision


def _kept_together(settled: Sequence[_Settled], failed: Sequence[UpdateDecided]) -> list[_Settled]:
    """Hold the updates of groups whose members the files part: some wait, cannot be written, or have something else."""
    ballots: dict[tuple[ApplicationName, str], dict[str, Ballot]] = {}
    for each in settled:
        if group := _group(each.decided):
            ballots.setdefault(group, {})[each.decided.image.alias] = (each.decided.election, each.decision)
    for decided in failed:
        if group := _group(decided):
            invalid = Invalid(reason=Reason.INVALID, message="its file cannot be edited")
            ballots.setdefault(group, {})[decided.image.alias] = (None, invalid)
    holds = {
        ImageIdentity(name, alias): hold
        for (name, group), members in ballots.items()
        for alias, hold in held_apart(group, members).items()
    }
    return [each._replace(decision=holds.get(each.decided.identity, each.decision)) for each in settled]


_OVERRIDES = (FileKind.OVERRIDE_HELM, FileKind.OVERRIDE_KUSTOMIZE, FileKind.OVERRIDE_PLUGIN)


def _settle(
    decided: UpdateDecided,
    paths: Sequence[str],
    kind: FileKind,
    files: Files,
    memory: Memory,
    now: datetime,
) -> tuple[Current, Decision]:
    """Judge what the files hold; where they hold several versions, each has to lead to the same one."""
    texts, edit = _texts(paths, files), edit_for(decided.image, ImageVersion())
    for contest in decided.image.contests:
        glob = PathGlob.of(contest.glob)
        check_free({path: text for path, text in texts.items() if glob.matches(path)}, edit, contest)
    versions = read_versions(kind, texts, edit)
    settled = [_judge(decided, version or None, kind, files, memory, now) for version in versions or (None,)]
    updates = [(current, decision) for current, decision in settled if isinstance(decision, Update)]
    if not updates:
        return next((each for each in settled if isinstance(each[1], Hold)), settled[0])
    current, update = updates[0]
    others = [each.version for each, decision in settled if not isinstance(decision, Update)]
    if any(version != update.version for version in others):
        there = ", ".join(str(each.version) for each, _ in settled)
        raise EditError(
            f"{git_target(decided).path} has {decided.image.image.written} at {there}, not all of which become "
            f"{update.version}: make them equal, or give each its own alias with the comment `# updater: <alias>`",
        )
    return current, update


def _judge(
    decided: UpdateDecided,
    in_target: ImageVersion | None,
    kind: FileKind,
    files: Files,
    memory: Memory,
    now: datetime,
) -> tuple[Current, Decision]:
    application, image = decided.tracked.application, decided.image
    current = witnessed(application, image, in_target, _version_in_base(decided, kind, files))
    current = replace(current, removed=in_target is None and bool(memory.written))
    decision = unmanaged(application, image, current) or judge(decided.election, current, memory, now)
    return current, _as_verified(decided, decision)


def _as_verified(decided: UpdateDecided, decision: Decision) -> Decision:
    """Hold what the file asks for when it is another version than the one whose signature was looked at."""
    if decided.image.verification is None or not isinstance(decision, Update):
        return decision
    if decision.version == decided.decision.version:
        return decision
    message = f"{decision.version} waits until its signature has been looked at"
    return Hold(reason=Reason.VERIFYING, message=message, candidate=decision.version)


def _edit(
    paths: Sequence[str],
    kind: FileKind,
    planned: Sequence[Planned],
    files: Files,
    result: Plan,
) -> None:
    """Edit the files for all their images at once; if that fails, for one more at a time: none stops the others.

    What was done before is asked for again with each, so that none writes over another either; what does so in
    manifests, `_overwritten` finds.
    """
    before = _texts(paths, {**files, **result.files})
    after: dict[str, str] = {}
    done: list[Planned] = []
    try:
        after = apply_to_all(kind, before, [_edit_of(each) for each in planned])
        done = list(planned)
    except EditError:
        for each in planned:
            together = [each] if kind is FileKind.MANIFESTS else [*done, each]
            try:
                after |= apply_to_all(kind, {**before, **after}, [_edit_of(one) for one in together])
                done.append(each)
            except EditError as error:
                result.failed.append((each.decided, str(error)))
    if after:
        result.files |= {path: text.encode() for path, text in after.items()}
        result.planned += done
    else:
        place = ", ".join(paths)
        result.failed += [
            (each.decided, f"{place}: the edit to {each.update.version} changes nothing") for each in done
        ]


def _edit_of(planned: Planned) -> Edit:
    return edit_for(planned.decided.image, planned.update.version)


def _locate(decided: UpdateDecided, files: Files) -> tuple[tuple[str, ...], FileKind]:
    """Find the files: a kustomization under one of its names, manifests by glob, an override by its source's type."""
    target = git_target(decided)
    if target.kind is FileKind.MANIFESTS:
        glob = PathGlob.of(target.path)
        found = tuple(path for path, content in files.items() if content is not None and glob.matches(path))
        if not found:
            raise EditError(f"{target.path} matches no file of the branch: correct the annotation write-back-target")
        return found, target.kind
    if target.kind is FileKind.KUSTOMIZATION:
        paths = [_join(target.path, name) for name in KUSTOMIZATION_NAMES]
        path = next((path for path in paths if files.get(path) is not None), None)
        if path is None:
            raise EditError(f"{target.path}: there is no kustomization: correct the annotation write-back-target")
        return (path,), target.kind
    if target.kind is not FileKind.OVERRIDE:
        return (target.path,), target.kind
    if any(files.get(_join(target.base_path, name)) is not None for name in KUSTOMIZATION_NAMES):
        return (target.path,), FileKind.OVERRIDE_KUSTOMIZE
    if files.get(_join(target.base_path, _CHART)) is not None:
        _check_alone(decided)
        return (target.path,), FileKind.OVERRIDE_HELM
    raise EditError(
        f"{target.base_path}: neither a chart nor a kustomization is there, so an override file has no effect: "
        "correct the source's path, or name the file to change in the annotation write-back-target",
    )


def _check_alone(decided: UpdateDecided) -> None:
    """Refuse an override of which only the files tell that its images, by their keys, have one place."""
    images = [
        replace(image, target=replace(image.target, kind=FileKind.OVERRIDE_HELM, key=image.keys.spec or image.keys.tag))
        for image in decided.tracked.images
        if isinstance(image.target, GitTarget) and image.target.kind is FileKind.OVERRIDE
    ]
    for problem in clashes(decided.tracked.application, images):
        if problem.alias == decided.image.alias:
            raise EditError(problem.message)


def _version_in_base(decided: UpdateDecided, kind: FileKind, files: Files) -> ImageVersion | None:
    if git_target(decided).manifest_of:
        return None
    base = git_target(decided).base_path
    edit = edit_for(decided.image, ImageVersion())
    try:
        if kind is FileKind.OVERRIDE_HELM:
            return read_version(FileKind.HELM_VALUES, _text(_join(base, _VALUES), files), edit)
        if kind is FileKind.OVERRIDE_KUSTOMIZE:
            texts = [_text(_join(base, name), files) for name in KUSTOMIZATION_NAMES]
            return next((read_version(FileKind.KUSTOMIZATION, text, edit) for text in texts if text), None)
    except EditError:
        return None
    return None


def _texts(paths: Sequence[str], files: Files) -> Texts:
    return {path: _text(path, files) for path in paths}


def _text(path: str, files: Files) -> str | None:
    content = files.get(path)
    if content is None:
        return None
    if content.startswith(_LFS_POINTER):
        raise EditError(
            f"{path} is a Git LFS pointer, and what it points to is not in the repository: "
            "keep the file itself in Git, or name another write-back-target"
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise EditError(f"{path}: no UTF-8 text: correct the file, or name another write-back-target") from None


def _join(directory: str, name: str) -> str:
    return name if directory in ("", ".") else f"{directory}/{name}"
