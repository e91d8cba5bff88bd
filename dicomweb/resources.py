"""THE table of what each resource takes and answers, for machines and people (PS3.18 chapters 8 to 10, Table H-1).

The capabilities description and the OpenAPI document are made from it; a test compares it with the routes. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.settings import Settings
from dicomweb.negotiate import DICOM, JSON, MULTIPART, PLAIN_JSON, XML, ZIP
from storage.attributes import ATTRIBUTES, COMPUTED, MATCHABLE_COMPUTED
from storage.records import Level

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
URI_SERVICE = "/wado"  # http.wado_uri moves it
BASE = "/"

PICTURES = ("image/jpeg", "image/png", "image/gif", "image/jp2", "image/webp")
_DOCUMENTS = (JSON, PLAIN_JSON, MULTIPART)
_SHOWN = (*PICTURES, "image/svg+xml", "video/*", "text/html", "text/plain", "text/xml", "application/pdf", "model/*")
OCTETS = "application/octet-stream"

# Statuses beside success, by the table of errors (dicomweb/problem.py).
ALWAYS = (400, 401, 403, 414, 503)
_SEARCH = (*ALWAYS, 406, 413)
_FETCH = (*ALWAYS, 404, 406, 410, 413)
_BODY = (*ALWAYS, 406, 408, 409, 413, 415, 507)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One method of one route. `name` is the transaction's, as one word."""

    route: str
    method: str
    name: str
    summary: str
    answers: tuple[str, ...] = ()  # media types of success
    statuses: tuple[int, ...] = (200,)  # of success
    refusals: tuple[int, ...] = ALWAYS
    parameters: tuple[str, ...] = ()  # keys of PARAMETERS
    level: Level | None = None  # of a search: its attributes down to this level are parameters too
    takes: tuple[str, ...] = ()  # media types of the body


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter: its JSON schema, and what it means."""

    schema: dict[str, object]
    meaning: str


def _shaped(pattern: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^{pattern}$"}


_FLAG: dict[str, object] = {"type": "string", "enum": ["true", "false"]}
_TEXT: dict[str, object] = {"type": "string"}
_NUMBER: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_COUNT: dict[str, object] = {"type": "integer", "minimum": 1}
_DECIMAL: dict[str, object] = {"type": "number"}
UID: dict[str, object] = _shaped(r"[0-9]+(\.[0-9]+)*") | {"maxLength": 64}
_FRACTION = r"(0(\.[0-9]{1,6})?|1(\.0)?)"
_WORD = "(patient|technique)"
_FIELD = "([0-9A-F]{8}|[A-Z][A-Za-z]+)"

PARAMETERS: dict[str, Parameter] = {
    "accept": Parameter(_TEXT, "As the Accept header, which must allow it (8.3.3.1)."),
    "charset": Parameter({"type": "string", "enum": ["utf-8"]}, "Character set of the answer (8.3.3.2)."),
    "limit": Parameter(_NUMBER, "Results at most (8.3.4.4)."),
    "offset": Parameter(_NUMBER, "Results to skip (8.3.4.4)."),
    "includefield": Parameter(
        _shaped(f"(all|{_FIELD}(,{_FIELD})*)"), "Attributes to return besides, a comma list or `all` (8.3.4.3)."
    ),
    "fuzzymatching": Parameter(_FLAG, "Person names by words, prefixes, pinyin and initials (8.3.4.2)."),
    "emptyvaluematching": Parameter(_FLAG, '`""` matches what has no value (8.3.4.5).'),
    "multiplevaluematching": Parameter(_FLAG, "All values of a list must be there (8.3.4.6)."),
    "TimezoneOffsetFromUTC": Parameter(
        _shaped(r"(\+(0[0-9]|1[0-3])|-(0[0-9]|1[0-1]))[0-5][0-9]"), "The zone that dates and times of the keys are in."
    ),
    "quality": Parameter({"type": "integer", "minimum": 1, "maximum": 100}, "Of a JPEG (8.3.5.1.2)."),
    "viewport": Parameter(
        _shaped("[1-9][0-9]{0,2},[1-9][0-9]{0,2}(,[0-9]{0,3},[0-9]{0,3},-?[1-9][0-9]{0,2},-?[1-9][0-9]{0,2})?"),
        "vw,vh,sx,sy,sw,sh: fit in a box, cut a region, mirror (8.3.5.1.3).",
    ),
    "window": Parameter(
        _shaped("-?[0-9]{1,5},[1-9][0-9]{0,4},(linear|linear-exact|sigmoid)"), "center,width,function (8.3.5.1.4)."
    ),
    "annotation": Parameter(_shaped(f"{_WORD}(,{_WORD})?"), "patient,technique (8.3.5.1.1)."),
    "iccprofile": Parameter(
        {"type": "string", "enum": ["no", "yes", "srgb", "adobergb", "rommrgb"]}, "Colour profile (8.3.5.1.5)."
    ),
    "dicomdir": Parameter(_FLAG, "A ZIP with a DICOMDIR, its files named by numbers (no part of PS3.18)."),
    "override-retention": Parameter(_FLAG, "Delete although a retention term runs; the audit trail says so."),
    "requestType": Parameter({"type": "string", "enum": ["WADO"]}, "Always WADO (9.1.2.1)."),
    "studyUID": Parameter(UID, "Study Instance UID."),
    "seriesUID": Parameter(UID, "Series Instance UID."),
    "objectUID": Parameter(UID, "SOP Instance UID."),
    "contentType": Parameter(
        _shaped("[a-z]+/[a-z0-9.+-]+(,[a-z]+/[a-z0-9.+-]+)*"), "Media types, the first that is possible is sent."
    ),
    "transferSyntax": Parameter(_shaped(r"(\*|[0-9]+(\.[0-9]+)*)"), "One UID, or * for what is stored."),
    "frameNumber": Parameter(_COUNT, "One frame, from 1."),
    "rows": Parameter(_COUNT, "Height of a box that the picture fits in."),
    "columns": Parameter(_COUNT, "Width of a box that the picture fits in."),
    "region": Parameter(_shaped(f"{_FRACTION}(,{_FRACTION}){{3}}"), "xmin,ymin,xmax,ymax from 0.0 to 1.0."),
    "windowCenter": Parameter(_DECIMAL, "With windowWidth."),
    "windowWidth": Parameter(_DECIMAL, "With windowCenter."),
    "imageQuality": Parameter({"type": "integer", "minimum": 1, "maximum": 100}, "Of a JPEG."),
    "presentationUID": Parameter(UID, "SOP Instance UID of a presentation state."),
    "presentationSeriesUID": Parameter(UID, "Its Series Instance UID."),
    "anonymize": Parameter({"type": "string", "enum": ["yes"]}, "Not offered: 406."),
}
# Of keys, by VR; others are any text.
_DAY = "[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9])?)?"
_BY_VR: dict[str, dict[str, object]] = {
    "DA": _shaped(f"({_DAY}|{_DAY}-({_DAY})?|-{_DAY})?"),
    "TM": _shaped(f"({_CLOCK}|{_CLOCK}-({_CLOCK})?|-{_CLOCK})?"),
    "UI": _shaped(r"([0-9]+(\.[0-9]+)*(,[0-9]+(\.[0-9]+)*)*)?"),
    "IS": _shaped("([+-]?[0-9]{1,9})?"),
    "US": _shaped("([0-9]{1,5})?"),
}
REQUIRED = frozenset({"requestType", "objectUID"})

_ANY = ("accept", "charset")
_SEARCHING = (
    *_ANY, "limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching",
    "TimezoneOffsetFromUTC",
)  # fmt: skip
_RENDERING = (*_ANY, "quality", "viewport", "window", "annotation", "iccprofile")
_URI = (
    "requestType", "studyUID", "seriesUID", "objectUID", "contentType", "charset", "anonymize", "transferSyntax",
    "frameNumber", "rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality", "annotation",
    "presentationUID", "presentationSeriesUID",
)  # fmt: skip

_LEVELS = ((STUDY, "Study", "a study"), (SERIES, "Series", "a series"), (INSTANCE, "Instance", "an instance"))
_SEARCHES = (
    ("/studies", "SearchForStudies", "Search for studies", Level.STUDY),
    ("/series", "SearchForSeries", "Search for series", Level.SERIES),
    ("/instances", "SearchForInstances", "Search for instances", Level.INSTANCE),
    (STUDY + "/series", "SearchForStudySeries", "Search for series of a study", Level.SERIES),
    (STUDY + "/instances", "SearchForStudyInstances", "Search for instances of a study", Level.INSTANCE),
    (SERIES + "/instances", "SearchForStudySeriesInstances", "Search for instances of a series", Level.INSTANCE),
)


def _searches() -> list[Resource]:
    return [
        Resource(
            route=route, method="GET", name=name, summary=summary, answers=_DOCUMENTS, statuses=(200, 204),
            refusals=_SEARCH, parameters=_SEARCHING, level=level,
        )
        for route, name, summary, level in _SEARCHES
    ]  # fmt: skip


def _fetched(route: str, name: str, summary: str, answers: tuple[str, ...], parameters: tuple[str, ...]) -> Resource:
    return Resource(
        route=route, method="GET", name=name, summary=summary, answers=answers, statuses=(200, 206, 304),
        refusals=(*_FETCH, 416), parameters=parameters,
    )  # fmt: skip


def _of_level(level: str, name: str, thing: str) -> list[Resource]:
    """What every level has."""
    small = (*_ANY, "viewport")
    return [
        _fetched(level, f"Retrieve{name}", f"Retrieve {thing}", (MULTIPART, DICOM, ZIP, OCTETS), (*_ANY, "dicomdir")),
        _fetched(f"{level}/metadata", f"Retrieve{name}Metadata", f"Retrieve the metadata of {thing}", _DOCUMENTS, _ANY),
        _fetched(f"{level}/rendered", f"RetrieveRendered{name}", f"Show {thing}", (*_SHOWN, MULTIPART), _RENDERING),
        _fetched(
            f"{level}/thumbnail", f"Retrieve{name}Thumbnail", f"Show {thing} in small", (*PICTURES, MULTIPART), small
        ),
        _fetched(
            f"{level}/bulkdata", f"Retrieve{name}Bulkdata", f"Retrieve all bulk data of {thing}", (MULTIPART,), _ANY
        ),
        _fetched(
            f"{level}/pixeldata", f"Retrieve{name}PixelData", f"Retrieve the pixel data of {thing}", (MULTIPART,), _ANY
        ),
        Resource(
            route=level, method="DELETE", name=f"Delete{name}", summary=f"Delete {thing} (no part of PS3.18)",
            statuses=(204,), refusals=(*ALWAYS, 404, 409, 410, 507), parameters=("override-retention",),
        ),
    ]  # fmt: skip


def _of_frames_and_values() -> list[Resource]:
    frames, value = INSTANCE + "/frames/{frames}", INSTANCE + "/bulkdata/{path:path}"
    stored = (MULTIPART, OCTETS, "image/*", "video/*", "application/x-deflate")
    small, by_query = (*PICTURES, MULTIPART), "Retrieve an instance by query parameters (chapter 9)"
    return [
        _fetched(frames, "RetrieveFrames", "Retrieve frames", stored, _ANY),
        _fetched(f"{frames}/rendered", "RetrieveRenderedFrames", "Show frames", (*_SHOWN, MULTIPART), _RENDERING),
        _fetched(f"{frames}/thumbnail", "RetrieveFrameThumbnail", "Show a frame in small", small, (*_ANY, "viewport")),
        _fetched(value, "RetrieveBulkdata", "Retrieve a value that metadata give as BulkDataURI", ("*/*",), _ANY),
        _fetched(URI_SERVICE, "RetrieveByURI", by_query, (DICOM, *_SHOWN), _URI),
    ]


def _stores() -> list[Resource]:
    return [
        Resource(
            route=route, method="POST", name=name, summary=summary,
            takes=(MULTIPART, DICOM, JSON, PLAIN_JSON, XML),
            answers=(JSON, PLAIN_JSON, XML), statuses=(200, 202), refusals=_BODY, parameters=_ANY,
        )
        for route, name, summary in (
            ("/studies", "StoreInstances", "Store instances"),
            (STUDY, "StoreStudyInstances", "Store instances of one study"),
        )
    ]  # fmt: skip


RESOURCES: tuple[Resource, ...] = (
    *_searches(),
    *(resource for level in _LEVELS for resource in _of_level(*level)),
    *_of_frames_and_values(),
    *_stores(),
    Resource(
        route=BASE, method="OPTIONS", name="RetrieveCapabilities", summary="Retrieve this service's capabilities (8.9)",
        answers=("application/vnd.sun.wadl+xml", PLAIN_JSON), refusals=(400, 406, 414), parameters=("accept",),
    ),
)  # fmt: skip


def placed(route: str, method: str, settings: Settings) -> str | None:
    """Where a row of the table stands below the service root; None when the settings switch it off."""
    if method == "DELETE" and not settings.http.delete:
        return None
    if route != URI_SERVICE:
        return route
    path = settings.http.wado_uri.strip("/")
    return f"/{path}" if path else None


def keys(level: Level) -> dict[str, dict[str, object]]:
    """The indexed attributes that a search at `level` takes as keys: keyword -> JSON schema of the value."""
    above = list(Level)[: list(Level).index(level) + 1]
    found = {one.keyword: one.vr for one in ATTRIBUTES if one.level in above}
    found |= {keyword: COMPUTED[keyword][1] for keyword in MATCHABLE_COMPUTED if COMPUTED[keyword][2] in above}
    return {keyword: _BY_VR.get(vr, _TEXT) for keyword, vr in found.items() if keyword not in PARAMETERS}
