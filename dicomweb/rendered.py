"""WADO-RS: rendered resources (PS3.18 §10.4.1.1.3, §8.7.4; DICOM.md W16-W23). Thin: bridge.render does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from bridge.errors import InvalidRequest, NotAcceptable, NotFound, TooLarge
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered
from bridge.rendering import EDITION
from dicomweb import multipart
from dicomweb.conditional import entity_tag, single_part, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import Chooser, Representation
from dicomweb.paths import path_of
from dicomweb.render_params import Parameter, parse_rendering, unsupported_annotations
from dicomweb.reply import Header, Reply, streamed
from dicomweb.untrusted import guards
from dicomweb.wado import frame_numbers
from storage.records import InstanceRecord

_HEADERS: list[Header] = [(b"cache-control", b"private, no-cache"), (b"vary", b"Accept, Authorization")]
# One instance of a study that cannot be shown: InvalidRequest is a window for a presentation state (W22).
_NOT_SHOWN = (NotAcceptable, NotFound, TooLarge, InvalidRequest)


def instance(call: Call) -> Reply:
    """One instance: alone, or its frames, or what it is made of, in a multipart message."""
    wishes, parameters = call.wishes(), _parameters(call)
    record = call.door.retrieve.instance(call.ref())
    several = call.door.render.shows_several(record)
    chosen = Chooser(wishes, one_item=True).rendered(call.door.render.media_types(record), several=several)
    headers = [*_headers(call, call.parameter), _tag(call, record, chosen)]
    if unmodified(call.headers, headers[-1][1].decode()):
        return Reply(status=304, headers=headers)
    if chosen.multipart:
        found = call.door.render.parts(record, chosen.media_type, parameters)
        return _message(_parts(call, record, found), chosen.media_type, headers)
    return _alone(call, record, call.door.render.whole(record, chosen.media_type, parameters), headers)


def frames(call: Call) -> Reply:
    """Frames of an image: one alone, several in a multipart message."""
    numbers = frame_numbers(call.path["frames"])
    wishes, parameters = call.wishes(), _parameters(call)
    record = call.door.retrieve.instance(call.ref())
    chosen = Chooser(wishes, one_item=len(numbers) == 1).rendered(call.door.render.media_types(record))
    headers = [*_headers(call, call.parameter), _tag(call, record, chosen)]
    if unmodified(call.headers, headers[-1][1].decode()):
        return Reply(status=304, headers=headers)
    found = call.door.render.frames(record, numbers, chosen.media_type, parameters)
    if chosen.multipart:
        return _message(_parts(call, record, found), chosen.media_type, headers)
    return _alone(call, record, next(found), headers)


def instances(call: Call) -> Reply:
    """A study or a series: every instance that can be rendered as asked, in one multipart message."""
    chooser, parameters = Chooser(call.wishes(), one_item=False), _parameters(call)
    ref = call.ref()
    revision = call.door.archive.index.revision(ref)
    records = call.door.retrieve.instances(ref)
    state = f"{EDITION}-{revision}"  # of all that is below; what is sent of it goes by Accept
    tag = entity_tag(state, call.query_string, call.headers.get("accept", ""), call.base)
    headers = [*_headers(call, call.parameter), (b"etag", tag.encode())]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    parts = _instance_parts(call, records, chooser, parameters)
    first = next(parts, None)
    if first is None:
        raise NotAcceptable("nothing here can be rendered as the Accept header asks")
    return _message(chain((first,), parts), first.content_type.partition(";")[0], headers)


def alone(
    call: Call,
    record: InstanceRecord,
    chosen: Representation,
    parameter: Parameter,
    draw: Callable[[Parameters], Rendered],
) -> Reply:
    """One thing drawn as `parameter` asks, in a single part answer: what the URI Service sends."""
    parameters = _parameters(call, parameter)
    headers = [*_headers(call, parameter), _tag(call, record, chosen)]
    if unmodified(call.headers, headers[-1][1].decode()):
        return Reply(status=304, headers=headers)
    return _alone(call, record, draw(parameters), headers)


def _parameters(call: Call, parameter: Parameter | None = None) -> Parameters:
    limit_px = call.door.settings.rendering.viewport_limit_px
    return replace(parse_rendering(parameter or call.parameter, viewport_limit_px=limit_px), base=call.base)


def _headers(call: Call, parameter: Parameter) -> list[Header]:
    """What every answer carries; a warning where words of the annotation parameter are not known (W20)."""
    sentence = unsupported_annotations(parameter)
    return [*_HEADERS, (b"warning", f"299 {call.base}: {sentence}".encode("latin-1"))] if sentence else list(_HEADERS)


def _tag(call: Call, record: InstanceRecord, chosen: Representation) -> Header:
    """What was stored, what was asked, what is sent, and who draws: together they name the bytes."""
    form = f"{EDITION}{chosen.content_type}{chosen.multipart}{call.base}"
    if call.door.render.shows_others(record):
        study = replace(record.ref, series_instance_uid=None, sop_instance_uid=None)
        form += str(call.door.archive.index.revision(study))
    return b"etag", entity_tag(record.data_set_sha256, call.path.get("frames", ""), call.query_string, form).encode()


def _instance_parts(
    call: Call, records: Iterator[InstanceRecord], chooser: Chooser, parameters: Parameters
) -> Iterator[Part]:
    for record in records:
        try:
            chosen = chooser.rendered(call.door.render.media_types(record))
            yield from _parts(call, record, call.door.render.parts(record, chosen.media_type, parameters))
        except _NOT_SHOWN:
            continue  # what cannot be shown is left out; 406 only when nothing is left


def _parts(call: Call, record: InstanceRecord, found: Iterator[Rendered]) -> Iterator[Part]:
    for one in found:
        yield Part(
            content_type=one.media_type,
            chunks=one.chunks,
            size_bytes=one.size_bytes,
            location=_location(call, record, one),
        )


def _message(parts: Iterator[Part], root_type: str, headers: list[Header]) -> Reply:
    boundary = multipart.new_boundary()
    return streamed(multipart.content_type(root_type, boundary), multipart.write(parts, boundary), headers=headers)


def _alone(call: Call, record: InstanceRecord, one: Rendered, headers: list[Header]) -> Reply:
    location = (b"content-location", _location(call, record, one).encode("latin-1"))
    headers = [*headers, location, *guards(one.media_type)]
    if one.read is None or one.size_bytes is None:
        return streamed(one.media_type, one.chunks, size_bytes=one.size_bytes, headers=headers)
    tag = next(value for name, value in headers if name == b"etag").decode()
    return single_part(call.headers, one.media_type, one.size_bytes, one.read, tag, headers)


def _location(call: Call, record: InstanceRecord, one: Rendered) -> str:
    frame = "" if one.frame is None else f"/frames/{one.frame}"
    return f"{call.base}{path_of(record.ref)}{frame}/rendered"
