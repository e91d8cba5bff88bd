"""WADO-RS: metadata and frames (PS3.18 §10.4).

Whatever can be refused is refused before the first byte; then bytes only pass through (DICOM.md W28).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import orjson

from bridge.errors import InvalidRequest
from bridge.outgoing import FramePart, ranged
from bridge.retrieve import producible_from
from dicomweb import multipart
from dicomweb.compression import coding_for, encode
from dicomweb.conditional import entity_tag, single_part, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import XML, Chooser, document
from dicomweb.paths import path_of
from dicomweb.reply import BATCH_BYTES, CACHING, VARY, Header, Reply, streamed, whole
from dicomweb.xml import native_model
from storage.records import ResourceRef

FRAMES_LIMIT = 10000  # numbers in one frame list

_VARY_CODED = (b"vary", b"Accept, Accept-Encoding, Authorization")


def metadata(call: Call) -> Reply:
    """The DICOM JSON, or XML, of everything at and below the resource (§10.4.1.1.2; W2, W27)."""
    ref = call.ref()
    form = document(call.wishes())
    coding = "" if form == XML else coding_for(call.headers.get("accept-encoding", ""))
    base = call.base.encode("latin-1")
    revision = call.door.archive.index.revision(ref)
    tag = entity_tag(str(revision), form, coding, base)
    headers = [(b"etag", tag.encode()), *CACHING, _VARY_CODED]
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
            return streamed(form, rest, headers=[*CACHING, _VARY_CODED])
        body = encode(body, coding) if coding else body
        call.door.bodies.put(key, body)
    return whole(200, form, body, headers)


def frames(call: Call) -> Reply:
    """Frames of an instance (§10.4.1.1.6; W9-W14)."""
    ref = call.ref()
    numbers = frame_numbers(call.path["frames"])
    chooser = Chooser(call.wishes(), one_item=len(numbers) == 1)
    record = call.door.retrieve.instance(ref)
    chosen = chooser.frames(record.transfer_syntax_uid, producible_from(record))
    state = (record.data_set_sha256, call.path["frames"], chosen.content_type, str(chosen.multipart))
    tag = entity_tag(*state, weak=chosen.multipart)
    headers = [(b"etag", tag.encode()), *CACHING, VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    found = call.door.retrieve.frames(record, numbers, chosen.transfer_syntax_uid)
    if not chosen.multipart:
        only = next(found)
        location = (b"content-location", f"{call.base}{path_of(ref)}/frames/{only.number}".encode("latin-1"))
        read, headers = ranged(only.chunks), [*headers, location]
        return single_part(call.headers, _frame_type(only), only.size_bytes, read, tag, headers)
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


def frame_numbers(text: str) -> list[int]:
    """`1,3,5` -> numbers in the order asked, duplicates kept (W9). Raises InvalidRequest."""
    pieces = text.split(",")
    if len(pieces) > FRAMES_LIMIT:
        raise InvalidRequest(f"a frame list may hold at most {FRAMES_LIMIT} numbers")
    if not all(piece.isascii() and piece.isdigit() and len(piece) <= 9 and int(piece) > 0 for piece in pieces):
        raise InvalidRequest("a frame list is numbers from 1 on, with commas between them")
    return [int(piece) for piece in pieces]


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
    boundary = multipart.new_boundary()
    bodies = (native_model(orjson.loads(item)) for _, item in call.door.retrieve.metadata_objects(ref, base))
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
