"""WADO-RS: thumbnails (PS3.18 §10.4.1.1.4; DICOM.md W24). Thin: bridge.render.thumbnails does the work."""

from __future__ import annotations

from bridge.rendering import EDITION
from bridge.rendering.encoding import STILLS
from dicomweb.conditional import entity_tag, single_part_message, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import Chooser
from dicomweb.render_params import parse_thumbnail
from dicomweb.reply import Header, Reply, whole
from dicomweb.wado import frame_numbers

_HEADERS: list[Header] = [(b"cache-control", b"private, no-cache"), (b"vary", b"Accept, Authorization")]


def thumbnail(call: Call) -> Reply:
    """One small picture of a study, series, instance or frame."""
    ref = call.ref()
    chosen = Chooser(call.wishes(), one_item=True).rendered(STILLS)
    viewport = parse_thumbnail(call.parameter, viewport_limit_px=call.door.settings.rendering.viewport_limit_px)
    frame = frame_numbers(call.path["frames"])[0] if "frames" in call.path else None
    revision = call.door.thumbnails.revision(ref)
    tag = entity_tag(f"{EDITION}-{revision}", str(frame), call.query_string, chosen.content_type, str(chosen.multipart))
    headers = [*_HEADERS, (b"etag", tag.encode())]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    key = (ref, revision, frame, chosen.media_type, viewport)
    body = call.door.bodies.get(key)
    if body is None:
        body = call.door.thumbnails.picture(ref, chosen.media_type, viewport, frame)
        call.door.bodies.put(key, body)
    if chosen.multipart:
        part = Part(content_type=chosen.media_type, chunks=[body], size_bytes=len(body))
        return single_part_message(part, chosen.media_type, headers)
    return whole(200, chosen.media_type, body, headers)
