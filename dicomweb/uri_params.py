"""Query parameters of the URI Service -> what is asked for (PS3.18 §9.1.2, §9.4.1.2; DICOM.md 1.5). Pure.

Names are case-sensitive, unknown ones are ignored. Rendering parameters are turned into those of the RESTful service
(§8.3.5), so that both services draw alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import InvalidRequest, NotAcceptable
from dicomweb.grammar import parse_accept
from storage.keys import is_uid

Parameter = Callable[[str], str | None]

_UIDS = ("studyUID", "seriesUID", "objectUID", "presentationUID", "presentationSeriesUID")
_CHARSETS = frozenset({"utf-8", "utf8"})
_FRACTION = re.compile(r"0*(?:0(?:\.[0-9]{0,12})?|1(?:\.0{0,12})?|\.[0-9]{1,12})")
_DIGITS_LIMIT = 9  # of a whole number


@dataclass(frozen=True, slots=True, kw_only=True)
class UriRequest:
    """A query string understood. UIDs are well-formed; only `object_uid` is always there."""

    object_uid: str
    study_uid: str | None
    series_uid: str | None
    presentation_uid: str | None
    presentation_series_uid: str | None
    media_types: tuple[str, ...]  # in the order of preference, empty when none was named
    transfer_syntax: str  # "" not named, "*" as stored
    frame: int | None
    rows: int | None
    columns: int | None
    region: tuple[float, float, float, float] | None  # xmin, ymin, xmax, ymax from 0 to 1

    def viewport(self, image_columns: int, image_rows: int, limit_px: int) -> str | None:
        """`viewport` of §8.3.5.1.3 for an image of that size; None when neither size nor region was asked for."""
        if self.region is None:
            if self.rows is None and self.columns is None:
                return None
            return f"{self.columns or limit_px},{self.rows or limit_px}"
        left, top, right, bottom = self.region
        width, height = (right - left) * image_columns, (bottom - top) * image_rows
        unsized = self.rows is None and self.columns is None
        columns = max(1, round(width)) if unsized else self.columns or limit_px
        rows = max(1, round(height)) if unsized else self.rows or limit_px
        corner = f"{left * image_columns:.6f},{top * image_rows:.6f}"
        return f"{min(columns, limit_px)},{min(rows, limit_px)},{corner},{width:.6f},{height:.6f}"


def parse(parameter: Parameter, *, strict_uids: bool) -> UriRequest:
    """Understand a request. `parameter` gives a value or None. Raises InvalidRequest or NotAcceptable."""
    if parameter("requestType") != "WADO":
        raise InvalidRequest("requestType must be WADO")
    uids = {name: _uid(name, parameter(name), strict=strict_uids) for name in _UIDS}
    object_uid = uids["objectUID"]
    if object_uid is None:
        raise InvalidRequest("objectUID is missing")
    _check_together(parameter)
    _check_charset(parameter("charset"))
    _check_anonymize(parameter("anonymize"))
    return UriRequest(
        object_uid=object_uid,
        study_uid=uids["studyUID"],
        series_uid=uids["seriesUID"],
        presentation_uid=uids["presentationUID"],
        presentation_series_uid=uids["presentationSeriesUID"],
        media_types=_media_types(parameter("contentType")),
        transfer_syntax=_transfer_syntax(parameter("transferSyntax")),
        frame=_whole("frameNumber", parameter("frameNumber")),
        rows=_whole("rows", parameter("rows")),
        columns=_whole("columns", parameter("columns")),
        region=_region(parameter("region")),
    )


def restful(parameter: Parameter, viewport: str | None) -> Parameter:
    """The rendering parameters under the names and in the form of the RESTful service."""
    center, width = parameter("windowCenter"), parameter("windowWidth")
    values = {
        "viewport": viewport,
        "window": None if center is None else f"{center},{width},linear",
        "quality": parameter("imageQuality"),
        "annotation": parameter("annotation"),
    }
    return values.get


def _check_together(parameter: Parameter) -> None:
    """Parameters that need or exclude one another (§9.1.2.2)."""
    for one, other in (("windowCenter", "windowWidth"), ("presentationUID", "presentationSeriesUID")):
        if (parameter(one) is None) != (parameter(other) is None):
            raise InvalidRequest(f"{one} and {other} go together")
    if parameter("presentationUID") is not None and parameter("windowCenter") is not None:
        raise InvalidRequest("a presentation state has a window of its own; leave windowCenter and windowWidth out")


def _check_charset(text: str | None) -> None:
    names = None if text is None else {name.partition(";")[0].strip().lower() for name in text.split(",")}
    if names is not None and not names & _CHARSETS:
        raise InvalidRequest("charset may only be utf-8 (PS3.18 section 8.3.3.2)")


def _check_anonymize(text: str | None) -> None:
    """What is not done is not pretended: an answer with the patient in it would be worse than none."""
    if text == "yes":
        raise NotAcceptable("de-identification is not offered; ask without anonymize")
    if text is not None:
        raise InvalidRequest("anonymize may only be yes")


def _uid(name: str, text: str | None, *, strict: bool) -> str | None:
    if text is not None and not is_uid(text, strict=strict):
        raise InvalidRequest(f"{name} is not a UID")
    return text


def _media_types(text: str | None) -> tuple[str, ...]:
    """A list of media types, best first; what makes no sense is left out unless it is all there is."""
    if text is None:
        return ()
    found = sorted((member for member in parse_accept(text) if member.q), key=lambda member: -member.q)
    if not found:
        raise InvalidRequest("contentType names no media type")
    return tuple(dict.fromkeys(member.essence for member in found))


def _transfer_syntax(text: str | None) -> str:
    if text is None:
        return ""
    if text != "*" and not is_uid(text):
        raise InvalidRequest("transferSyntax is one UID")
    return text


def _whole(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS_LIMIT or int(text) == 0:
        raise InvalidRequest(f"{name} is a whole number from 1 on")
    return int(text)


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    """xmin,ymin,xmax,ymax as fractions of the image, from its top left corner (§9.1.2.2.4)."""
    if text is None:
        return None
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) != 4 or not all(_FRACTION.fullmatch(piece) for piece in pieces):
        raise InvalidRequest("region is xmin,ymin,xmax,ymax, each from 0.0 to 1.0")
    left, top, right, bottom = map(float, pieces)
    if not (left < right and top < bottom):
        raise InvalidRequest("region must not be empty: xmin below xmax and ymin below ymax")
    return left, top, right, bottom
