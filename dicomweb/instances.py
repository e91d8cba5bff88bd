"""WADO-RS instances: a study, a series or an instance as Part 10 files (PS3.18 §10.4.1.1.1), in a message or a ZIP.

Whatever can be refused is refused before the first byte; then bytes only pass through (DICOM.md W28).
"""

from __future__ import annotations

from collections.abc import Iterable

from dicomweb import archives, bulkdata, multipart
from dicomweb.choices import choose, chosen_for, streams_of
from dicomweb.conditional import entity_tag, single_part, single_part_message, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import DICOM, Chooser, Representation, is_bulk_only, wishes_for_zip
from dicomweb.paths import path_of
from dicomweb.reply import CACHING, VARY, Header, Reply, streamed
from storage.records import InstanceRecord, Level


def instances(call: Call) -> Reply:
    """A study, a series or an instance (W1, G13, G14, W25). Octets alone ask for its bulk data (Table 10.4.4-1)."""
    ref, wishes = call.ref(), call.wishes()
    if is_bulk_only(wishes):
        return bulkdata.everything(call)
    if zipped := wishes_for_zip(wishes):
        return archives.archive(call, ref, Chooser(zipped, one_item=True))
    chooser = Chooser(wishes, one_item=ref.level is Level.INSTANCE)
    if ref.level is Level.INSTANCE:
        return instance(call, call.door.retrieve.instance(ref), chooser)
    base, boundary = call.base, multipart.new_boundary()

    def size_of(index: int, record: InstanceRecord, chosen: Representation) -> int:
        part = _part(record, chosen, record.size_bytes, (), base)
        return len(multipart.part_header(part, boundary, first=index == 0)) + record.size_bytes

    choices, size = chosen_for(call, ref, chooser, size_of)
    parts = (
        _part(record, chosen, stream.size_bytes, stream.chunks, base)
        for record, chosen, stream in streams_of(call, choices)
    )
    return streamed(
        multipart.content_type(DICOM, boundary),
        multipart.write(parts, boundary),
        size_bytes=None if size is None else size + len(multipart.closing_delimiter(boundary)),
        headers=[*CACHING, VARY],
    )


def instance(call: Call, record: InstanceRecord, chooser: Chooser) -> Reply:
    """One instance as Part 10, in the form that the chooser finds. Raises NotAcceptable."""
    chosen = choose(chooser, record)
    tag = entity_tag(record.sha256, chosen.content_type, str(chosen.multipart), weak=chosen.multipart)
    headers: list[Header] = [(b"etag", tag.encode()), *CACHING, VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    stream = call.door.retrieve.object_alone(record, chosen.transfer_syntax_uid)
    if not chosen.multipart:
        location = (b"content-location", f"{call.base}{path_of(record.ref)}".encode("latin-1"))
        headers = [*headers, location]
        return single_part(call.headers, chosen.content_type, stream.size_bytes, stream.read, tag, headers)
    part = _part(record, chosen, stream.size_bytes, stream.chunks, call.base)
    return single_part_message(part, chosen.media_type, headers)


def _part(
    record: InstanceRecord, chosen: Representation, size_bytes: int | None, chunks: Iterable[bytes], base: str
) -> Part:
    location = base + path_of(record.ref)
    return Part(content_type=chosen.content_type, chunks=chunks, size_bytes=size_bytes, location=location)
