"""JSON patch (RFC 6902, as far as we send it) and JSON merge patch (RFC 7386), as the API server applies them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any


class PatchFailed(Exception):
    """A test of the patch did not hold, or a place is missing."""


def apply_json_patch(document: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply test, add, replace and remove, all or none."""
    result: dict[str, Any] = deepcopy(dict(document))
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent: Any = result
        for part in path[:-1]:
            parent = _child(parent, part)
        _apply(parent, path[-1], operation)
    return result


def _apply(parent: Any, last: str, operation: Mapping[str, Any]) -> None:
    match operation["op"]:
        case "test":
            if _child(parent, last) != operation["value"]:
                raise PatchFailed(f"testing value {operation['path']} failed")
        case "replace":
            _child(parent, last)
            parent[int(last) if isinstance(parent, list) else last] = operation["value"]
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])
        case "add":
            parent[last] = operation["value"]
        case "remove":
            _child(parent, last)
            del parent[int(last) if isinstance(parent, list) else last]
        case other:
            raise PatchFailed(f"unexpected operation {other}")


def _child(parent: Any, part: str) -> Any:
    try:
        return parent[int(part)] if isinstance(parent, list) else parent[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise PatchFailed(f"there is no {part}") from None


def apply_merge_patch(document: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result
