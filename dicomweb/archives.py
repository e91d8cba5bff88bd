"""WADO-RS instances in a ZIP archive (PS3.18 §10.4.1.1.1, Sup 211; DICOM.md W25), on demand with a DICOMDIR."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterable, Iterator
from itertools import chain

import orjson

from bridge.dicomdir import FILE_NAME, Entry, FileIds, dicomdir
from bridge.errors import InvalidRequest, TooLarge
from bridge.outgoing import sent_uid
from dicomweb import zipping
from dicomweb.choices import Choice, choose, chosen_for, streams_of
from dicomweb.deps import Call
from dicomweb.negotiate import ZIP, Chooser, Representation
from dicomweb.reply import CACHING, VARY, Reply, streamed
from dicomweb.zipping import Member
from storage.records import InstanceRecord, ResourceRef

DICOMDIR_LIMIT = 10000  # instances; their records are in memory until the directory is sent
PARAMETER = "dicomdir"


def archive(call: Call, ref: ResourceRef, chooser: Chooser) -> Reply:
    """Every instance a file of its own. Names are made of UIDs, or of numbers where a DICOMDIR says what they are."""
    wanted = call.parameter(PARAMETER)
    if wanted not in (None, "true", "false"):
        raise InvalidRequest(f"{PARAMETER} is true or false")
    if wanted == "true":
        return _reply(ref, zipping.write(_file_set(call, ref, chooser)), None)
    count = 0

    def member_bytes(index: int, record: InstanceRecord, _chosen: Representation) -> int:
        nonlocal count
        count = index + 1
        return zipping.member_size(_name(record.ref), record.size_bytes)

    choices, size = chosen_for(call, ref, chooser, member_bytes)
    members = _members(call, ((_name(record.ref), (record, chosen)) for record, chosen in choices))
    return _reply(ref, zipping.write(members), None if size is None else zipping.total_size(size, count))


def _reply(ref: ResourceRef, chunks: Iterator[bytes], size_bytes: int | None) -> Reply:
    filename = f"{ref.sop_instance_uid or ref.series_instance_uid or ref.study_instance_uid}.zip"
    disposition = (b"content-disposition", f'attachment; filename="{filename}"'.encode("latin-1"))
    return streamed(ZIP, chunks, size_bytes=size_bytes, headers=[*CACHING, VARY, disposition])


def _name(ref: ResourceRef) -> str:
    return f"{ref.study_instance_uid}/{ref.series_instance_uid}/{ref.sop_instance_uid}.dcm"


def _members(call: Call, named: Iterable[tuple[str, Choice]]) -> Generator[Member, None, None]:
    """Each instance under its name."""
    names: list[str] = []

    def choices() -> Iterator[Choice]:
        for name, choice in named:
            names.append(name)
            yield choice

    for _, _, stream in streams_of(call, choices()):
        yield Member(name=names.pop(0), chunks=stream.chunks, size_bytes=stream.size_bytes)


def _file_set(call: Call, ref: ResourceRef, chooser: Chooser) -> Iterator[Member]:
    """The files under their File IDs, then the DICOMDIR. Raises TooLarge, NotAcceptable, NotFound before the first."""
    by_uid: dict[str, Choice] = {}
    for record in call.door.retrieve.instances(ref):
        by_uid[record.ref.sop_instance_uid or ""] = (record, choose(chooser, record))
        if len(by_uid) > DICOMDIR_LIMIT:
            raise TooLarge(f"a DICOMDIR holds at most {DICOMDIR_LIMIT} instances; ask for the series one by one")
    named: list[tuple[str, Choice]] = []

    def entries() -> Iterator[Entry]:
        ids = FileIds()
        for found, text in call.door.retrieve.metadata_objects(ref, b""):
            if found.sop_instance_uid in by_uid:  # else it has come since
                record, chosen = by_uid[found.sop_instance_uid]
                file_id = ids.next(found.series_instance_uid or "")
                named.append(("/".join(file_id), (record, chosen)))
                syntax = chosen.transfer_syntax_uid
                yield Entry(
                    metadata=orjson.loads(text),
                    file_id=file_id,
                    sop_class_uid=record.sop_class_uid,
                    sop_instance_uid=sent_uid(record, syntax),
                    transfer_syntax_uid=syntax,
                )

    directory = dicomdir(entries(), f"2.25.{uuid.uuid4().int}")
    members = _members(call, named)
    return chain(members, [Member(name=FILE_NAME, chunks=[directory], size_bytes=len(directory))])
