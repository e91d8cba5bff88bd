"""WADO-URI: one instance by query parameters, as it is or as a browser shows it (PS3.18 §9; DICOM.md 1.5)."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import NotAcceptable, NotFound
from bridge.kinds import Kind, kind_of
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered
from bridge.search import search
from dicomweb import instances, rendered, uri_params
from dicomweb.deps import Call
from dicomweb.negotiate import ALIASES, DICOM, Chooser, Wish
from dicomweb.reply import Reply
from dicomweb.uri_params import UriRequest
from storage.attributes import BY_KEYWORD
from storage.query import Criterion, Query, Single
from storage.records import InstanceRecord, Level, ResourceRef

# §9.4.3, DICOM.md 1.5: what comes when no contentType is named, the first that is possible; DICOM is always the last.
_DEFAULTS: dict[Kind, tuple[str, ...]] = {
    Kind.IMAGE: ("image/jpeg",),
    Kind.VIDEO: ("video/*",),
    Kind.REPORT: ("text/html",),
}
_MOVING = ("image/gif", "image/jpeg")  # an image of several frames


def retrieve(call: Call) -> Reply:
    """The instance in the first of the media types asked for that is possible."""
    asked = uri_params.parse(call.parameter, strict_uids=call.door.settings.ingest.strict_uids)
    record = _record(call, asked.object_uid, asked.series_uid, asked.study_uid)
    # as if the path had named it: for the audit trail, entity tags and links
    call.path.update(zip(("study", "series", "instance"), _uids(record.ref), strict=True))
    refusal = NotAcceptable("contentType names nothing that this instance can be sent as")
    for media_type in asked.media_types or _defaults(record, asked):
        try:
            if media_type == DICOM:
                return _as_stored(call, record, asked)
            return _shown(call, record, asked, media_type)
        except NotAcceptable as error:
            refusal = error
    raise refusal


def _record(call: Call, sop_uid: str, series_uid: str | None, study_uid: str | None) -> InstanceRecord:
    """The instance of that UID. A wrong series or study is NotFound; one left out is looked up."""
    site = call.principal.site
    if series_uid is not None and study_uid is not None:
        return call.door.retrieve.instance(ResourceRef(site, study_uid, series_uid, sop_uid))
    named = {"SOPInstanceUID": sop_uid, "SeriesInstanceUID": series_uid, "StudyInstanceUID": study_uid}
    criteria = tuple(Criterion(BY_KEYWORD[name].path, "UI", Single(uid)) for name, uid in named.items() if uid)
    page = search(call.door.archive, Query(site=site, level=Level.INSTANCE, criteria=criteria, limit=1))
    if not page.found:
        raise NotFound("no such instance")
    return call.door.retrieve.instance(page.found[0].ref)


def _defaults(record: InstanceRecord, asked: UriRequest) -> Sequence[str]:
    kind = kind_of(record.sop_class_uid, record.transfer_syntax_uid, has_pixels=record.frame_table is not None)
    if kind is Kind.IMAGE and asked.frame is None and _number(record, "NumberOfFrames") > 1:
        return (*_MOVING, DICOM)
    return (*_DEFAULTS.get(kind, ()), DICOM)


def _as_stored(call: Call, record: InstanceRecord, asked: UriRequest) -> Reply:
    wish = Wish(DICOM, asked.transfer_syntax, multipart=False, q=1000)
    return instances.instance(call, record, Chooser((wish,), one_item=True))


def _shown(call: Call, record: InstanceRecord, asked: UriRequest, media_type: str) -> Reply:
    offered = call.door.render.media_types(record)
    wish = Wish(
        media_type if media_type in offered else ALIASES.get(media_type, media_type), "", multipart=False, q=1000
    )
    chosen = Chooser((wish,), one_item=True).rendered(offered)
    limit_px = call.door.settings.rendering.viewport_limit_px
    viewport = asked.viewport(_number(record, "Columns"), _number(record, "Rows"), limit_px)
    parameter = uri_params.restful(call.parameter, viewport)
    return rendered.alone(
        call, record, chosen, parameter, lambda how: _drawn(call, record, asked, chosen.media_type, how)
    )


def _drawn(call: Call, record: InstanceRecord, asked: UriRequest, media_type: str, how: Parameters) -> Rendered:
    render = call.door.render
    if asked.presentation_uid is not None:
        state = _record(call, asked.presentation_uid, asked.presentation_series_uid, None)
        return render.presented(state, record, asked.frame, media_type, how)
    if asked.frame is not None and record.frame_table is not None:
        return next(render.frames(record, (asked.frame,), media_type, how))
    return render.whole(record, media_type, how)


def _number(record: InstanceRecord, keyword: str) -> int:
    """A whole number of the index; 0 when there is none."""
    text = record.attributes.get(keyword, "").partition("\\")[0].strip()
    return int(text) if text.isascii() and text.isdigit() else 0


def _uids(ref: ResourceRef) -> tuple[str, str, str]:
    return ref.study_instance_uid, ref.series_instance_uid or "", ref.sop_instance_uid or ""
