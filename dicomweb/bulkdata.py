"""WADO-RS bulk data: one value that metadata give by reference, or all of a study, a series or an instance
(PS3.18 §10.4.1.1.5, §10.4.1.1.6, §10.4.3.3.5, §10.4.3.3.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from bridge.bulk import Bulk
from bridge.errors import NotAcceptable, NotFound
from bridge.retrieve import producible_from
from bridge.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from dicomweb import multipart
from dicomweb.conditional import (
    entity_tag,
    parse_range,
    partial,
    single_part,
    single_part_message,
    unmodified,
    unsatisfied,
)
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import Chooser, Representation
from dicomweb.paths import path_of
from dicomweb.reply import CACHING, VARY, Header, Reply, streamed
from dicomweb.untrusted import guards
from storage.records import InstanceRecord


def value(call: Call) -> Reply:
    """One value (W6-W8), by byte range too (W27)."""
    wishes = call.wishes()
    record = call.door.retrieve.instance(call.ref())
    path = call.path["path"].upper()
    found = call.door.retrieve.bulk(record, path)
    chosen = Chooser(wishes, one_item=True).bulk(found.media_type)
    location = f"{call.base}{path_of(record.ref)}/bulkdata/{path}"
    tag = entity_tag(
        record.data_set_sha256, path, chosen.media_type, str(chosen.multipart), weak=chosen.multipart
    )  # fmt: skip
    headers: list[Header] = [(b"etag", tag.encode()), *CACHING, VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    if chosen.multipart:
        return _message(call, chosen, found, location, tag, headers)
    headers += [(b"content-location", location.encode("latin-1")), *guards(chosen.content_type)]
    return single_part(call.headers, chosen.content_type, found.size_bytes, found.read, tag, headers)


def _message(call: Call, chosen: Representation, found: Bulk, location: str, tag: str, headers: list[Header]) -> Reply:
    """The value, or the range of it that is asked for, as the only part of a message.

    By HTTP a range would count in the message. Clients that ask so mean the value: the service began with messages
    alone, and a Range header for them (PS3.18 2016, §6.5.5).
    """
    size = found.size_bytes
    wanted = parse_range(call.headers, size, tag)
    if wanted is not None and wanted.length == 0:
        return unsatisfied(size)
    chunks, sent = (found.chunks, size) if wanted is None else (found.read(wanted.start, wanted.length), wanted.length)
    part = Part(content_type=chosen.content_type, chunks=chunks, size_bytes=sent, location=location)
    reply = single_part_message(part, chosen.media_type, headers)
    return reply if wanted is None else partial(reply, wanted, size)


def everything(call: Call) -> Reply:
    """All values of every instance at and below the resource that can be sent as asked."""
    return _all(call, pixels_only=False)


def pixel_data(call: Call) -> Reply:
    """The pixel data of every instance; those nested in icons or private elements are left out."""
    return _all(call, pixels_only=True)


def _all(call: Call, *, pixels_only: bool) -> Reply:
    """One multipart message. Its type is that of its first part, for parts may differ (§8.7.8.2)."""
    chooser = Chooser(call.wishes(), one_item=False)
    records = call.door.retrieve.instances(call.ref())
    refused: list[NotAcceptable] = []
    parts = (
        part
        for record in records
        for path in call.door.retrieve.bulk_paths(record, pixels_only=pixels_only)
        for part in _parts(call, chooser, record, path, refused)
    )
    first = next(parts, None)
    if first is None and refused:
        raise refused[0]
    if first is None:
        raise NotFound("there is no such bulk data here")
    boundary, root_type = multipart.new_boundary(), first.content_type.partition(";")[0]
    body = multipart.write(chain([first], parts), boundary)
    return streamed(multipart.content_type(root_type, boundary), body, headers=[*CACHING, VARY])


def _parts(
    call: Call, chooser: Chooser, record: InstanceRecord, path: str, refused: list[NotAcceptable]
) -> Iterator[Part]:
    """The parts of one value: compressed pixel data are a part per frame, all else is one; none where it is refused."""
    location = f"{call.base}{path_of(record.ref)}/bulkdata/{path}"
    stored = lookup(record.transfer_syntax_uid)
    try:
        if path == call.door.retrieve.pixel_path(record) and not (stored is not None and stored.video):
            chosen = chooser.frames(record.transfer_syntax_uid, producible_from(record))
            if chosen.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
                for frame in call.door.retrieve.all_frames(record, chosen.transfer_syntax_uid):
                    yield Part(
                        content_type=chosen.content_type,
                        chunks=frame.chunks,
                        size_bytes=frame.size_bytes,
                        location=location,
                    )
                return
        found = call.door.retrieve.bulk(record, path)
        content_type = chooser.bulk(found.media_type).content_type
    except NotAcceptable as error:
        refused.append(error)
        return
    yield Part(content_type=content_type, chunks=found.chunks, size_bytes=found.size_bytes, location=location)
