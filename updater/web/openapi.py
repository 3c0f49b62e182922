"""The API's description in OpenAPI 3.1."""

from collections.abc import Mapping

from updater import __version__

LARGEST_PAGE = 1000

_TEXT: Mapping[str, object] = {"type": "string"}
_COUNT: Mapping[str, object] = {"type": "integer", "minimum": 0}
_MOMENT: Mapping[str, object] = {"type": ["string", "null"], "format": "date-time"}


def _object(
    required: Mapping[str, object], optional: Mapping[str, object] | None = None, *, more: bool = False
) -> dict[str, object]:
    """Describe an object that has all of `required`; with `more`, others as well."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": more}


_DECIDED = {
    "application": _TEXT,
    "alias": _TEXT,
    "image": _TEXT,
    "decision": {"enum": ["update", "hold", "up-to-date", "misconfigured", "undecided"]},
    "tag": _TEXT,
    "reason": _TEXT,
    "message": _TEXT,
}
_OF_A_HOLD = {"digest": _TEXT, "until": _TEXT, "rejected": _TEXT, "released_by": {"type": ["string", "null"]}}
_IMAGE = {
    **_DECIDED,
    "strategy": _TEXT,
    "constraint": _TEXT,
    "current": _object({"version": _TEXT, "read_from": _TEXT}),
    "target": _TEXT,
    "credentials": {"type": ["string", "null"]},
    "checked_at": _MOMENT,
    "next_check_at": _MOMENT,
}
_VERDICT = _object({"tag": _TEXT, "kept": {"type": "boolean"}, "reason": _TEXT, "rank": {"type": ["integer", "null"]}})
_PROBLEM = _object({"alias": _TEXT, "message": _TEXT})

COLLECTIONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "applications": (
        "Applications that are kept up to date",
        _object({"application": _TEXT, "images": _COUNT, "problems": _COUNT, "failing": _COUNT}),
    ),
    "images": ("Images with what was decided, and where it is written", _object(_IMAGE, _OF_A_HOLD, more=True)),
    "decisions": ("What was decided for each image that was looked at", _object(_DECIDED, _OF_A_HOLD)),
    "holds": ("Decisions to keep what is there, though there is something else", _object(_DECIDED, _OF_A_HOLD)),
    "registries": (
        "How the looks at each registry go",
        _object({"host": _TEXT, "repositories": _COUNT, "failing": _COUNT, "oldest_look": {"type": "number"}}),
    ),
    "writes": (
        "The last hundred writes of this process, the latest first",
        _object(
            {
                "at": {"type": "string", "format": "date-time"},
                "application": _TEXT,
                "alias": _TEXT,
                "image": _TEXT,
                "from": _TEXT,
                "to": _TEXT,
                "commit": _TEXT,
            },
        ),
    ),
}


def describe() -> dict[str, object]:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "updater", "version": __version__, "description": "What the daemon knows; it is read only."},
        "security": [{"token": []}, {}],
        "paths": {
            **{f"/api/v1/{name}": _list(name, text, schema) for name, (text, schema) in COLLECTIONS.items()},
            "/api/v1/applications/{namespace}/{name}": _application(),
            "/api/v1/openapi.json": {"get": _operation("describe", "This description", {"type": "object"})},
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _list(name: str, text: str, schema: Mapping[str, object]) -> dict[str, object]:
    page = _object({"items": {"type": "array", "items": schema}, "total": _COUNT})
    limits = {
        "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": LARGEST_PAGE},
        "offset": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0},
    }
    parameters = [{"name": each, "in": "query", "schema": limits[each]} for each in limits]
    refused = {"400": _response("The page is out of bounds", _error())}
    return {"get": {**_operation(f"list_{name}", text, page, refused), "parameters": parameters}}


def _application() -> dict[str, object]:
    image = _object({**_IMAGE, "verdicts": {"type": "array", "items": _VERDICT}}, _OF_A_HOLD, more=True)
    content = _object(
        {
            "application": _TEXT,
            "images": {"type": "array", "items": image},
            "problems": {"type": "array", "items": _PROBLEM},
        },
    )
    parameters = [{"name": each, "in": "path", "required": True, "schema": _TEXT} for each in ("namespace", "name")]
    missing = {"404": _response("It is not known", _error())}
    text = "An application's images with the verdict on every tag"
    return {"get": {**_operation("show_application", text, content, missing), "parameters": parameters}}


def _operation(
    name: str, text: str, schema: Mapping[str, object], more: Mapping[str, object] | None = None
) -> dict[str, object]:
    responses = {
        "200": _response(text, schema),
        "401": _response("The token is missing or another one", _error()),
        "503": _response("The database, or the token, cannot be read now", _error()),
        **(more or {}),
    }
    return {"operationId": name, "summary": text, "responses": responses}


def _response(text: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _error() -> dict[str, object]:
    return _object({"error": _TEXT})
