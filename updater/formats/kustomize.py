"""Which image Kustomize is told to use: `kustomize.images` of an Application, and the `images` of a kustomization.

Kustomize compares names as text, so what is found keeps its spelling; what is looked for is found under any spelling.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion, Repository
from updater.domain.references import parse_reference
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import as_mapping, describe, find, items_at, own_items, put, resolve, text_at
from updater.formats.yaml_scalars import text_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import MappingNode, Node, ScalarNode, refusal


@dataclass(frozen=True, slots=True)
class KustomizeImage:
    """One entry: images called `name` become `new_name` (or keep their name) at `version` (or keep theirs)."""

    name: str
    new_name: str = ""
    version: ImageVersion = ImageVersion()

    @staticmethod
    def parse(text: str) -> "KustomizeImage":
        """Read `name:tag`, `name@digest`, `name:tag@digest` or any of them behind `old=`."""
        old, renamed, rest = text.rpartition("=")
        named, _, digest = rest.partition("@")
        name, colon, tag = named.rpartition(":")
        if not colon or "/" in tag:
            name, tag = named, ""
        version = ImageVersion(tag, digest)
        return KustomizeImage(old, name, version) if renamed else KustomizeImage(name, version=version)

    def __str__(self) -> str:
        renamed = f"{self.name}=" if self.new_name else ""
        tag = f":{self.version.tag}" if self.version.tag else ""
        digest = f"@{self.version.digest}" if self.version.digest else ""
        return f"{renamed}{self.new_name or self.name}{tag}{digest}"

    @property
    def effective_name(self) -> str:
        return self.new_name or self.name


def read_overrides(images: Sequence[str], edit: Edit) -> ImageVersion | None:
    """Tell which version `kustomize.images` gives the image; None when it says nothing of it."""
    return read_entries([KustomizeImage.parse(text) for text in images], edit)


def merge_images(images: Sequence[str], edits: Sequence[Edit]) -> tuple[str, ...]:
    """Return `kustomize.images` with the edits made: the images' own entries changed in place, or appended.

    Raises:
        EditError: an edit has no version, or two edits want different things of one entry.
    """
    before = [KustomizeImage.parse(text) for text in images]
    after = edit_entries(before, edits)
    kept = [text if old == new else str(new) for text, old, new in zip(images, before, after, strict=False)]
    return (*kept, *(str(entry) for entry in after[len(before) :]))


def edit_entries(entries: Sequence[KustomizeImage], edits: Sequence[Edit]) -> list[KustomizeImage]:
    """Return the entries with the edits made; new ones stand behind."""
    result = list(entries)
    done: set[int] = set()
    for edit in edits:
        found = matching(result, edit)
        for index in found:
            wanted = edited(result[index], edit)
            if index in done and wanted != result[index]:
                raise EditError(
                    f"the image {wanted.name} is to become both {result[index]} and {wanted}: tell them apart with the "
                    "annotation <alias>.kustomize.image-name, or remove one from the image-list",
                )
            result[index] = wanted
        if not found:
            found = [len(result)]
            result.append(new_entry(edit))
        done.update(found)
    return result


def read_entries(entries: Sequence[KustomizeImage], edit: Edit) -> ImageVersion | None:
    """Tell which version the entries give the image; None when they say nothing of it."""
    found = [entries[index] for index in matching(entries, edit)]
    if not found or not found[-1].version:
        return None
    if edit.keys.kustomize_name and not _is(found[-1].effective_name, edit.image.repository):
        return None
    return found[-1].version


def matching(entries: Sequence[KustomizeImage], edit: Edit) -> list[int]:
    """Find the entries that decide about the image, by the closest spelling there is.

    Without a name of its own in the kustomization, the image is first looked for among the results of renames: an entry
    that gives our image its name is nearer to it than one that takes it away.
    """
    repository, written, original = edit.image.repository, edit.image.written, edit.keys.kustomize_name
    if original:
        wanted = _repository(original)
        tests: list[Callable[[KustomizeImage], bool]] = [
            lambda entry: entry.name == original,
            lambda entry: wanted is not None and _is(entry.name, wanted),
        ]
    else:
        tests = [
            lambda entry: entry.effective_name == written,
            lambda entry: _is(entry.effective_name, repository),
            lambda entry: entry.name == written,
            lambda entry: _is(entry.name, repository),
        ]
    for test in tests:
        found = [index for index, entry in enumerate(entries) if test(entry)]
        if found:
            return found
    return []


def edited(entry: KustomizeImage, edit: Edit) -> KustomizeImage:
    """Give an existing entry the image's version, and its name where the edit is a rename; spellings stay."""
    _require_version(edit.image)
    changed = replace(entry, version=edit.image.version)
    if edit.keys.kustomize_name and not _is(entry.effective_name, edit.image.repository):
        return replace(changed, new_name=edit.image.written)
    return changed


def new_entry(edit: Edit) -> KustomizeImage:
    _require_version(edit.image)
    if edit.keys.kustomize_name:
        return KustomizeImage(edit.keys.kustomize_name, edit.image.written, edit.image.version)
    return KustomizeImage(edit.image.written, version=edit.image.version)


def read_images(root: MappingNode, edit: Edit) -> ImageVersion | None:
    """Tell which version the `images` of a kustomization give the image; None when they say nothing of it."""
    return read_entries([_entry(as_mapping(item)) for item in items_at(root, "images")], edit)


def put_images(draft: Draft, root: MappingNode, edits: Sequence[Edit]) -> list[Content]:
    """Change the `images` that a kustomization has; return those that are missing."""
    nodes = [as_mapping(item) for item in own_items(root, "images")]
    before = [_entry(node) for node in nodes]
    after = edit_entries(before, edits)
    for node, old, new in zip(nodes, before, after, strict=False):
        if old != new:
            _put_entry(draft, node, old, new)
    return [_fields(entry) for entry in after[len(before) :]]


def read_override_images(root: MappingNode, path: Sequence[str], edit: Edit) -> ImageVersion | None:
    """Tell which version a list in the notation of `kustomize.images` gives the image."""
    return read_overrides([_text(item) for item in items_at(root, *path)], edit)


def put_override_images(draft: Draft, root: MappingNode, path: Sequence[str], edits: Sequence[Edit]) -> list[Content]:
    """Change a list in the notation of `kustomize.images`; return the items that are missing."""
    nodes = own_items(root, *path)
    before = [_text(node) for node in nodes]
    after = merge_images(before, edits)
    for node, old, new in zip(nodes, before, after, strict=False):
        if old != new:
            draft.replace(node, new)
    return list(after[len(before) :])


def _entry(node: MappingNode) -> KustomizeImage:
    version = ImageVersion(text_at(node, "newTag"), text_at(node, "digest"))
    return KustomizeImage(text_at(node, "name"), text_at(node, "newName"), version)


def _fields(entry: KustomizeImage) -> dict[str, Content]:
    fields = {
        "name": entry.name,
        "newName": entry.new_name,
        "newTag": entry.version.tag,
        "digest": entry.version.digest,
    }
    return {key: value for key, value in fields.items() if value}


def _put_entry(draft: Draft, node: MappingNode, old: KustomizeImage, new: KustomizeImage) -> None:
    """Change an entry; where a tag and a digest exchange their places, the line stays where it is."""
    before, after = _fields(old), _fields(new)
    gone = [key for key in before if key not in after]
    come = {key: value for key, value in after.items() if find(node, key) is None}
    for key, value in after.items():
        if key not in come:
            put(draft, node, [key], value)
    for key in gone:
        index = find(node, key)
        if index is None:
            raise refusal(node.line, f"{key} is merged in from another place", "write the entry out")
        replacement = next((each for each in ("newTag", "digest") if each in come), None)
        if replacement is None:
            draft.remove_key(node, index)
        else:
            draft.replace(node.pairs[index][0], replacement)
            draft.set_value(node, index, come.pop(replacement))
    if come:
        draft.add_keys(node, come)


def _text(node: Node) -> str:
    value = resolve(node)
    if not isinstance(value, ScalarNode):
        raise refusal(node.line, f"{describe(node)} stands where an image is expected", "write it as name=image:tag")
    return text_of(value)


def _require_version(image: ImageReference) -> None:
    if not image.version:
        raise EditError(f"image {image.written} has neither tag nor digest to write: this is a fault of the updater")


def _repository(name: str) -> Repository | None:
    """Parse a name; None for what is no image name, as placeholders in kustomizations may be."""
    try:
        return parse_reference(name).repository
    except Misconfigured:
        return None


def _is(name: str, repository: Repository) -> bool:
    return _repository(name) == repository
