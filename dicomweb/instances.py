"""WADO-RS instances: a study, a series or an instance as Part 10 files (PS3.18 §10.4.1.1.1), in a message or a ZIP.

Whatever can be refused is refused before the first byte; then bytes only pass through (DICOM.md W28).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from bridge.outgoing import Representation as Outgoing
from bridge.retrieve import producible_from
from dicomweb import bulkdata, multipart, zipping
from dicomweb.conditional import entity_tag, single_part, single_part_message, unmodified
from dicomweb.deps import Call
from dicomweb.multipart import Part
from dicomweb.negotiate import DICOM, ZIP, Chooser, Representation, Wish, is_bulk_only, wishes_for_zip
from dicomweb.paths import path_of
from dicomweb.reply import CACHING, VARY, Header, Reply, streamed
from storage.records import InstanceRecord, Level, ResourceRef

_LISTED = 2000  # instances kept in memory between the check and the sending of a study

Choice = tuple[InstanceRecord, Representation]


def instances(call: Call) -> Reply:
    """A study, a series or an instance (W1, G13, G14, W25). Octets alone ask for its bulk data (Table 10.4.4-1)."""
    ref, wishes = call.ref(), call.wishes()
    if is_bulk_only(wishes):
        return bulkdata.everything(call)
    if zipped := wishes_for_zip(wishes):
        return _zip(call, ref, zipped)
    chooser = Chooser(wishes, one_item=ref.level is Level.INSTANCE)
    if ref.level is Level.INSTANCE:
        return instance(call, call.door.retrieve.instance(ref), chooser)
    base, boundary = call.base, multipart.new_boundary()

    def size_of(index: int, record: InstanceRecord, chosen: Representation) -> int:
        part = _part(record, chosen, record.size_bytes, (), base)
        return len(multipart.part_header(part, boundary, first=index == 0)) + record.size_bytes

    choices, size = _chosen(call, ref, chooser, size_of)
    parts = (
        _part(record, chosen, stream.size_bytes, stream.chunks, base)
        for record, chosen, stream in _streams(call, choices)
    )
    return streamed(
        multipart.content_type(DICOM, boundary),
        multipart.write(parts, boundary),
        size_bytes=None if size is None else size + len(multipart.closing_delimiter(boundary)),
        headers=[*CACHING, VARY],
    )


def _chosen(
    call: Call,
    ref: ResourceRef,
    chooser: Chooser,
    size_of: Callable[[int, InstanceRecord, Representation], int],
) -> tuple[Iterator[Choice], int | None]:
    """How each instance is sent, and the size of all of them; None as soon as one is converted or they are many.

    Raises NotAcceptable when one of them cannot be sent as asked. They are gone through twice when they are many.
    """
    records = call.door.retrieve.instances(ref)
    listed = list(islice(records, _LISTED))
    size: int | None = 0
    for index, record in enumerate(chain(listed, records)):
        chosen = choose(chooser, record)
        if size is None or chosen.transfer_syntax_uid != record.transfer_syntax_uid:
            size = None
        else:
            size += size_of(index, record, chosen)
    many = len(listed) == _LISTED
    again = call.door.retrieve.instances(ref) if many else listed
    return ((record, choose(chooser, record)) for record in again), None if many else size


def choose(chooser: Chooser, record: InstanceRecord) -> Representation:
    """How one instance is sent. Raises NotAcceptable."""
    return chooser.instance(record.transfer_syntax_uid, producible_from(record))


def _streams(call: Call, choices: Iterable[Choice]) -> Iterator[tuple[InstanceRecord, Representation, Outgoing]]:
    """Each instance with its bytes."""
    taken: list[Choice] = []

    def wanted() -> Iterator[tuple[InstanceRecord, str]]:
        for choice in choices:
            taken.append(choice)
            yield choice[0], choice[1].transfer_syntax_uid

    streams = call.door.retrieve.object_streams(wanted())
    try:
        for stream in streams:
            record, chosen = taken.pop(0)
            yield record, chosen, stream
    finally:
        streams.close()


def instance(call: Call, record: InstanceRecord, chooser: Chooser) -> Reply:
    """One instance as Part 10, in the form that the chooser finds. Raises NotAcceptable."""
    chosen = choose(chooser, record)
    tag = entity_tag(record.sha256, chosen.content_type, str(chosen.multipart), weak=chosen.multipart)
    headers: list[Header] = [(b"etag", tag.encode()), *CACHING, VARY]
    if unmodified(call.headers, tag):
        return Reply(status=304, headers=headers)
    stream = call.door.retrieve.object_stream(record, chosen.transfer_syntax_uid)
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


def _zip(call: Call, ref: ResourceRef, wishes: tuple[Wish, ...]) -> Reply:
    """Every instance a file of its own, named by UIDs alone."""
    choices, _ = _chosen(call, ref, Chooser(wishes, one_item=True), lambda *_: 0)
    members = (
        zipping.Member(name=_member_name(record.ref), chunks=stream.chunks, size_bytes=stream.size_bytes)
        for record, _, stream in _streams(call, choices)
    )
    filename = f"{ref.sop_instance_uid or ref.series_instance_uid or ref.study_instance_uid}.zip"
    disposition = (b"content-disposition", f'attachment; filename="{filename}"'.encode("latin-1"))
    return streamed(ZIP, zipping.write(members), headers=[*CACHING, VARY, disposition])


def _member_name(ref: ResourceRef) -> str:
    return f"{ref.study_instance_uid}/{ref.series_instance_uid}/{ref.sop_instance_uid}.dcm"
