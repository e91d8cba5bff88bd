"""The OpenAPI 3.1 document of the service, made from the table of resources. Pure."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from bridge.settings import Settings
from dicomweb import problem
from dicomweb.negotiate import JSON, PLAIN_JSON
from dicomweb.resources import PARAMETERS, REQUIRED, RESOURCES, UID, Resource, keys, placed

_IN_PATH: dict[str, tuple[dict[str, Any], str]] = {
    "study": (UID, "Study Instance UID"),
    "series": (UID, "Series Instance UID"),
    "instance": (UID, "SOP Instance UID"),
    "frames": ({"type": "string", "pattern": "^[1-9][0-9]{0,6}(,[1-9][0-9]{0,6})*$"}, "Frame numbers, from 1"),
    "path": ({"type": "string", "pattern": "^[0-9A-F]{8}(/[0-9]{1,4}/[0-9A-F]{8})*$"}, "As metadata give it"),
}
_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "until": {"type": "string", "format": "date-time", "description": "The end of a retention term."},
    },
}
_DATA_SET = {"type": "object", "description": "A data set in DICOM JSON (PS3.18 Annex F)."}


def document(settings: Settings, base: str, root: str) -> dict[str, Any]:
    """The document. `base` is the URL of the service root as the caller sees it, `root` its path on this server."""
    paths: dict[str, dict[str, Any]] = {}
    for resource in RESOURCES:
        path = placed(resource.route, resource.method, settings)
        if path is not None:
            where = ((root + path).rstrip("/") or "/").replace(":path", "")
            paths.setdefault(where, {})[resource.method.lower()] = _operation(resource)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb bridge",
            "version": "1",
            "description": "QIDO-RS, WADO-RS, STOW-RS and WADO-URI (DICOM PS3.18). HEAD is answered wherever GET is.",
        },
        "servers": [{"url": base.removesuffix(root) or "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, "DataSet": _DATA_SET},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "dicom-bridge keys add"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(resource: Resource) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": resource.name,
        "summary": resource.summary,
        "parameters": [*_path_parameters(resource), *_query_parameters(resource)],
        "responses": _responses(resource),
    }
    if resource.takes:
        content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in resource.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameters(resource: Resource) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", resource.route)
    return [
        {"name": name, "in": "path", "required": True, "schema": schema, "description": meaning}
        for name, (schema, meaning) in ((name, _IN_PATH[name]) for name in names)
    ]


def _query_parameters(resource: Resource) -> list[dict[str, Any]]:
    named = [
        {
            "name": name,
            "in": "query",
            "required": name in REQUIRED,
            "schema": _schema(resource, name),
            "description": PARAMETERS[name].meaning,
        }
        for name in resource.parameters
    ]
    matched = [
        {"name": keyword, "in": "query", "schema": schema, "description": "A key to match (8.3.4.1)."}
        for keyword, schema in (keys(resource.level) if resource.level else {}).items()
    ]
    return [*named, *matched]


def _schema(resource: Resource, name: str) -> dict[str, object]:
    """Of a parameter; `accept` may only name what the resource answers."""
    named = [kind for kind in resource.answers if "*" not in kind]
    return {"type": "string", "enum": named} if name == "accept" and named else PARAMETERS[name].schema


def _responses(resource: Resource) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in resource.statuses:
        found[str(status)] = {"description": HTTPStatus(status).phrase}
        if status not in (204, 304) and resource.answers:
            found[str(status)]["content"] = {kind: _content(resource, kind) for kind in resource.answers}
    told = {problem.CONTENT_TYPE.decode(): {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in sorted(resource.refusals):
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": told}
    if resource.takes:  # a store that failed altogether says so item by item
        for status in (400, 409, 413, 503, 507):
            found[str(status)]["content"] = {**told, **{kind: _content(resource, kind) for kind in resource.answers}}
    return found


def _content(resource: Resource, media_type: str) -> dict[str, Any]:
    """A data set where one is the answer, an array where several are; of other types only their name is said."""
    if media_type not in (JSON, PLAIN_JSON) or resource.method == "OPTIONS":
        return {}
    item = {"$ref": "#/components/schemas/DataSet"}
    return {"schema": item if resource.takes else {"type": "array", "items": item}}
