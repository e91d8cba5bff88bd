"""WADO-RS: instances, metadata, frames and bulk data (PS3.18 §10.4).

Whatever can be refused is refused before the first byte; then bytes only pass through (DICOM.md W28).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import orjson

from bridge.errors import InvalidRequest
from bridge.retrieve import FramePart
from dicomweb import multipart
from dicomweb.compression import coding_for, encode
from dicomweb.conditional import entity_tag, parse_range, partial, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import XML, Chooser, Representation, document
from dicomweb.reply import BATCH_BYTES, Header, Reply, streamed, whole
from dicomweb.xml import native_model
from storage.records import InstanceRecord, Level, ResourceRef

FRAMES_LIMIT = 10000  # numbers in one frame list
_LISTED = 2000  # instances kept in memory between the check and the sending of a study

_CACHING: list[Header] = [(b"cache-control", b"private, no-cache")]
_VARY = (b"vary", b"Accept, Authorization")
_VARY_CODED = (b"vary", b"Accept, Accept-Encoding, Authorization")


def instances(call: Call) -> Reply:
    """A study, a series or an instance as Part 10 (§10.4.1.1.1; W1, G13, G14)."""
    ref = call.ref()
    chooser = Chooser(call.wishes(), one_item=ref.level is Level.INSTANCE)
    if ref.level is Level.INSTANCE:
        return _instance(call, call.door.retrieve.instance(ref), chooser)
    records = call.door.retrieve.instances(ref)
    listed = list(islice(records, _LISTED))
    choices: dict[str, Representation] = {}
    size: int | None = 0
    boundary, base = multipart.new_boundary(), call.base
    for record in chain(listed, records):
        chosen = choices.get(record.transfer_syntax_uid)
        if chosen is None:
            chosen = choices[record.transfer_syntax_uid] = chooser.instance(record.transfer_syntax_uid)
        size = _add(size, record, chosen, boundary, base, first=size == 0)
    again = iter(listed) if len(listed) < _LISTED else call.door.retrieve.instances(ref)
    parts = (_object_part(call, record, choices[record.transfer_syntax_uid], base) for record in again)
    total = None if size is None else size + len(multipart.closing_delimiter(boundary))
    return streamed(
        multipart.content_type("application/dicom", boundary),
        multipart.write(parts, boundary),
        size_bytes=total if len(listed) < _LISTED else None,
        headers=[*_CACHING, _VARY],
    )


def metadata(call: Call) -> Reply:
    """The DICOM JSON, or XML, of everything at and below the resource (§10.4.1.1.2; W2, W27)."""
    ref = call.ref()
    form = document(call.wishes())
    coding = "" if form == XML else coding_for(call.headers.get("accept-encoding", ""))
    base = call.base.encode("latin-1")
    revision = call.door.archive.index.revision(ref)
    tag = entity_tag(str(revision), form, coding, base)
    headers = [(b"etag", tag.encode()), *_CACHING, _VARY_CODED]
    if revision is not None and unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    if form == XML:
        return _metadata_xml(call, ref, base, headers)
    if coding:
        headers.append((b"content-encoding", coding.encode()))
    key = (ref, revision, form, coding, base)  # all of it: a check sum alone could be forged by a Host header
    body = call.door.bodies.get(key)
    if body is None:
        body, rest = _up_to(call.door.retrieve.metadata(ref, base).body, call.door.bodies.largest_bytes)
        if rest is not None:  # too large to keep: sent as it is made, without coding
            return streamed(form, rest, headers=[*_CACHING, _VARY_CODED])
        body = encode(body, coding) if coding else body
        call.door.bodies.put(key, body)
    return whole(200, form, body, headers)


def frames(call: Call) -> Reply:
    """Frames of an instance (§10.4.1.1.6; W9-W14)."""
    ref = call.ref()
    numbers = frame_numbers(call.path["frames"])
    chooser = Chooser(call.wishes(), one_item=len(numbers) == 1)
    record = call.door.retrieve.instance(ref)
    chosen = chooser.frames(record.transfer_syntax_uid)
    tag = entity_tag(record.data_set_sha256, call.path["frames"], chosen.content_type, str(chosen.multipart))
    headers = [(b"etag", tag.encode()), *_CACHING, _VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    found = call.door.retrieve.frames(record, numbers, chosen.transfer_syntax_uid)
    if not chosen.multipart:
        only = next(found)
        location = (b"content-location", f"{call.base}{path_of(ref)}/frames/{only.number}".encode("latin-1"))
        return streamed(_frame_type(only), only.chunks, size_bytes=only.size_bytes, headers=[*headers, location])
    boundary, base = multipart.new_boundary(), f"{call.base}{path_of(ref)}/frames/"
    parts = (_frame_part(part, base) for part in found)
    total = None
    if len(numbers) == 1:  # the size of a large single frame is known before it is read
        first = next(parts)
        total = multipart.total_size([first], boundary)
        parts = (part for part in (first,))
    return streamed(
        multipart.content_type(chosen.media_type, boundary),
        multipart.write(parts, boundary),
        size_bytes=total,
        headers=headers,
    )


def bulk(call: Call) -> Reply:
    """A value that metadata give by reference (§10.4.1.1.5; W6-W8), by byte range too when it is sent alone (W27)."""
    ref = call.ref()
    wishes = call.wishes()
    record = call.door.retrieve.instance(ref)
    path = call.path["path"].upper()
    value = call.door.retrieve.bulk(record, path)
    chosen = Chooser(wishes, one_item=True).bulk(value.media_type)
    location = f"{call.base}{path_of(ref)}/bulkdata/{path}"
    tag = entity_tag(record.data_set_sha256, path, chosen.media_type, str(chosen.multipart))
    headers = [(b"etag", tag.encode()), *_CACHING, _VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    if chosen.multipart:
        part = Part(
            content_type=chosen.content_type, chunks=value.chunks, size_bytes=value.size_bytes, location=location
        )
        return single_part_message(part, chosen.media_type, headers)
    headers.append((b"content-location", location.encode("latin-1")))
    if value.supports_ranges:
        headers.append((b"accept-ranges", b"bytes"))
        wanted = parse_range(call.headers, value.size_bytes, tag)
        if wanted is not None:
            return partial(chosen.content_type, wanted, value.size_bytes, value.read, headers)
    return streamed(chosen.content_type, value.chunks, size_bytes=value.size_bytes, headers=headers)


def frame_numbers(text: str) -> list[int]:
    """`1,3,5` -> numbers in the order asked, duplicates kept (W9). Raises InvalidRequest."""
    pieces = text.split(",")
    if len(pieces) > FRAMES_LIMIT:
        raise InvalidRequest(f"a frame list may hold at most {FRAMES_LIMIT} numbers")
    if not all(piece.isascii() and piece.isdigit() and len(piece) <= 9 and int(piece) > 0 for piece in pieces):
        raise InvalidRequest("a frame list is numbers from 1 on, with commas between them")
    return [int(piece) for piece in pieces]


def _instance(call: Call, record: InstanceRecord, chooser: Chooser) -> Reply:
    chosen = chooser.instance(record.transfer_syntax_uid)
    tag = entity_tag(record.sha256, chosen.content_type, str(chosen.multipart))
    headers = [(b"etag", tag.encode()), *_CACHING, _VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    base = call.base
    part = _object_part(call, record, chosen, base)
    if not chosen.multipart:
        location = (b"content-location", part.location.encode("latin-1"))
        return streamed(part.content_type, iter(part.chunks), size_bytes=part.size_bytes, headers=[*headers, location])
    return single_part_message(part, chosen.media_type, headers)


def single_part_message(part: Part, root_type: str, headers: list[Header]) -> Reply:
    """A multipart message of one part."""
    boundary = multipart.new_boundary()
    return streamed(
        multipart.content_type(root_type, boundary),
        multipart.write([part], boundary),
        size_bytes=multipart.total_size([part], boundary),
        headers=headers,
    )


def _object_part(call: Call, record: InstanceRecord, chosen: Representation, base: str) -> Part:
    stream = call.door.retrieve.object_stream(record, chosen.transfer_syntax_uid)
    return Part(
        content_type=chosen.content_type,
        chunks=stream.chunks,
        size_bytes=stream.size_bytes,
        location=base + path_of(record.ref),
    )


def _add(
    size: int | None, record: InstanceRecord, chosen: Representation, boundary: str, base: str, *, first: bool
) -> int | None:
    """The size so far with one more part; None as soon as one is converted, because only its end tells its size."""
    if size is None or chosen.transfer_syntax_uid != record.transfer_syntax_uid:
        return None
    part = Part(
        content_type=chosen.content_type,
        chunks=(),
        size_bytes=record.size_bytes,
        location=base + path_of(record.ref),
    )
    return size + len(multipart.part_header(part, boundary, first=first)) + record.size_bytes


def _frame_part(frame: FramePart, base: str) -> Part:
    return Part(
        content_type=_frame_type(frame),
        chunks=frame.chunks,
        size_bytes=frame.size_bytes,
        location=f"{base}{frame.number}",
    )


def _frame_type(frame: FramePart) -> str:
    return f"{frame.media_type}; transfer-syntax={frame.transfer_syntax_uid}"


def _metadata_xml(call: Call, ref: ResourceRef, base: bytes, headers: list[Header]) -> Reply:
    """One part per instance (§8.7.3.2; J14)."""
    documents = orjson.loads(b"".join(call.door.retrieve.metadata(ref, base).body))
    boundary = multipart.new_boundary()
    bodies = (native_model(item) for item in documents)
    parts = (Part(content_type=XML, chunks=[body], size_bytes=len(body)) for body in bodies)
    return streamed(multipart.content_type(XML, boundary), multipart.write(parts, boundary), headers=headers)


def _up_to(chunks: Iterator[bytes], limit_bytes: int) -> tuple[bytes, Iterator[bytes] | None]:
    """All of it when it fits the limit; else an iterator that begins with what was read."""
    read: list[bytes] = []
    size = 0
    for chunk in chunks:
        read.append(chunk)
        size += len(chunk)
        if size > max(limit_bytes, BATCH_BYTES):
            return b"", chain(read, chunks)
    return b"".join(read), None


def path_of(ref: ResourceRef) -> str:
    """The instance's path below the service root."""
    return f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"
