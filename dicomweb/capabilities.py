"""Retrieve Capabilities: the service described as WADL, in XML or JSON (PS3.18 §8.9, Annex H; DICOM.md 1.6)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as Xml

import orjson

from bridge.errors import NotAcceptable
from bridge.settings import Settings
from dicomweb.deps import Call, service_root
from dicomweb.negotiate import PLAIN_JSON
from dicomweb.reply import Reply, whole
from dicomweb.resources import BASE, REQUIRED, RESOURCES, Resource, keys, placed

WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"
_HEADERS = [(b"cache-control", b"private, no-cache"), (b"vary", b"Accept, Authorization")]
_SEGMENTS = {  # Table H-1 has names of its own for what the paths hold
    "{study}": "{StudyInstance}",
    "{series}": "{SeriesInstance}",
    "{instance}": "{SOPInstance}",
    "{path:path}": "{BulkDataReference}",
}


def retrieve(call: Call) -> Reply:
    """The description in the form asked for, XML by default; `Allow` says what the base itself answers."""
    form = next((form for wish in call.wishes() if wish.q for form in (WADL, PLAIN_JSON) if wish.covers(form)), None)
    if form is None:
        raise NotAcceptable(f"possible here: {WADL}, {PLAIN_JSON}")
    application = describe(call.door.settings, call.base)
    if form == WADL:
        body = Xml.tostring(application, encoding="utf-8", xml_declaration=True)
    else:
        body = orjson.dumps({"application": _as_json(application)})
    allow = b"OPTIONS" if service_root(call.door.settings) else b"GET, HEAD, OPTIONS"  # then it is the front page too
    return whole(200, form, body, [(b"allow", allow), *_HEADERS])


def describe(settings: Settings, base: str) -> Xml.Element:
    """One `application` with one tree of resources below the service root `base`."""
    application = Xml.Element("application", xmlns=_NAMESPACE)
    root = Xml.SubElement(application, "resources", base=base)
    nodes: dict[tuple[str, ...], Xml.Element] = {(): root}
    for resource in RESOURCES:
        path = placed(resource.route, resource.method, settings)
        if path is not None and resource.route != BASE:  # the description does not describe itself
            _add_method(_node(nodes, tuple(path.strip("/").split("/"))), resource)
    return application


def _node(nodes: dict[tuple[str, ...], Xml.Element], path: tuple[str, ...]) -> Xml.Element:
    """The `resource` of a path, made with those above it."""
    if path not in nodes:
        segment = _SEGMENTS.get(path[-1], path[-1])
        node = nodes[path] = Xml.SubElement(_node(nodes, path[:-1]), "resource", path=segment)
        if segment.startswith("{"):
            Xml.SubElement(node, "param", name=segment.strip("{}"), style="template", required="true")
    return nodes[path]


def _add_method(node: Xml.Element, resource: Resource) -> None:
    method = Xml.SubElement(node, "method", name=resource.method, id=resource.name)
    Xml.SubElement(method, "doc", title=resource.summary)
    request = Xml.SubElement(method, "request")
    names = (*resource.parameters, *(keys(resource.level) if resource.level else {}))
    for name in names:
        parameter = Xml.SubElement(request, "param", name=name, style="query")
        if name in REQUIRED:
            parameter.set("required", "true")
    if resource.answers:
        accept = Xml.SubElement(request, "param", name="Accept", style="header")
        for media_type in resource.answers:
            Xml.SubElement(accept, "option", value=media_type)
    for media_type in resource.takes:
        Xml.SubElement(request, "representation", mediaType=media_type)
    response = Xml.SubElement(method, "response", status=" ".join(map(str, resource.statuses)))
    for media_type in resource.answers:
        Xml.SubElement(response, "representation", mediaType=media_type)


def _as_json(element: Xml.Element) -> dict[str, Any]:
    """Attributes as `@name`, children as lists by their name (Annex H)."""
    found: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        found.setdefault(child.tag, []).append(_as_json(child))
    if element.tag == "application":
        found["resources"] = found["resources"][0]
    return found
