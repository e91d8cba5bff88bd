"""STOW-RS: instances come in, part by part, and go straight into the archive's spool (PS3.18 §10.5).

Nothing is held whole. What can be refused by the header alone is refused before a byte of the body is asked for. A part
that came whole is kept, whatever happens to the rest of the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import orjson

from bridge.arrival import Arrival
from bridge.errors import InvalidInstance, InvalidRequest, TooLarge
from bridge.syntaxes import OCTETS
from dicomweb import multipart, store_report
from dicomweb.decoding import UnsupportedMediaType, decoded
from dicomweb.deps import Call
from dicomweb.grammar import MediaRange, parse_media_type
from dicomweb.multipart_reader import PartBegin, PartEnd, Reader
from dicomweb.negotiate import DICOM, MULTIPART, XML, Representation, report
from dicomweb.problem import headers_of
from dicomweb.reply import Header, Reply, whole
from dicomweb.store_batch import Batch
from dicomweb.store_documents import METADATA_TYPES, Documents
from dicomweb.store_report import Failed, Result
from dicomweb.xml import native_model

_SENTENCES = 8  # of what went wrong, in Warning headers
_PIECE_BYTES = 1 << 20  # of a body that is not multipart


class Receiver(Protocol):
    """Takes the parts of a message, one after the other."""

    def begin(self, headers: dict[str, str]) -> None:
        """A part starts."""
        ...

    def write(self, chunk: memoryview | bytes) -> None:
        """More of it."""
        ...

    def end(self) -> None:
        """It is whole."""
        ...

    def finish(self) -> None:
        """All parts came."""
        ...

    def abandon(self) -> None:
        """Forget the part under way."""
        ...


class Files:
    """DICOM files, one a part (PS3.18 §8.7.3.1)."""

    def __init__(self, call: Call, batch: Batch) -> None:
        self._call = call
        self._batch = batch
        self._arrival: Arrival | None = None

    def begin(self, headers: dict[str, str]) -> None:
        """A part without Content-Type is taken for what the message says it is (T1)."""
        kind = parse_media_type(headers.get("content-type", DICOM))
        if kind is None or kind.essence not in (DICOM, OCTETS):
            self._batch.refuse(InvalidInstance("a part is no application/dicom"))
            return
        self._arrival = Arrival(
            self._call.door.archive,
            site=self._call.principal.site,
            origin=self._call.origin,
            limit_bytes=self._call.door.settings.http.part_limit_bytes,
            study=self._call.path.get("study"),
        )

    def write(self, chunk: memoryview | bytes) -> None:
        """See Receiver."""
        if self._arrival is not None:
            self._arrival.write(chunk)

    def end(self) -> None:
        """See Receiver."""
        if self._arrival is not None:
            arrival, self._arrival = self._arrival, None
            arrival.seal()
            meta = arrival.meta
            self._batch.add(
                arrival.complete,
                sop_class_uid=meta.media_storage_sop_class_uid if meta else "",
                sop_instance_uid=meta.media_storage_sop_instance_uid if meta else "",
            )

    def finish(self) -> None:
        """Each file stands for itself."""

    def abandon(self) -> None:
        """See Receiver."""
        if self._arrival is not None:
            self._arrival.abandon()


# PS3.18 Table 10.5.2-1: what the parts of a message are -> who takes them.
RECEIVERS: dict[str, Callable[[Call, Batch], Receiver]] = {DICOM: Files, **dict.fromkeys(METADATA_TYPES, Documents)}


def store(call: Call) -> Reply:
    """Store instances, in any study or in the one that the path names. Raises InvalidRequest, TooLarge, NotAcceptable.

    An error while the body comes in says how many instances had been stored by then: they stay.
    """
    form = report(call.wishes())
    call.scope()  # a path that is no UID is refused before the body is read
    kind, boundary = _content_type(call.headers.get("content-type", ""))
    body = _body(call)
    batch = Batch(call.door.ingests, call.door.settings.http.ingest_threads)
    receiver = RECEIVERS[kind](call, batch)
    try:
        if boundary is None:
            _take_single(body, call.headers, receiver)
        else:
            _take_parts(body, _reader(call, boundary), receiver)
        receiver.finish()
    except BaseException as error:
        receiver.abandon()
        kept = sum(not isinstance(item, Failed) for item in batch.results())
        if kept and isinstance(error, (InvalidRequest, TooLarge)):
            raise type(error)(f"{error}; {kept} instances before it were stored") from error
        raise
    return _reply(call, form, batch.results())


def _content_type(value: str) -> tuple[str, str | None]:
    """(a key of RECEIVERS, boundary; None for a single part). Raises UnsupportedMediaType or InvalidRequest."""
    given = parse_media_type(value)
    if given is None:
        raise _unsupported()
    kind = given.essence
    if kind == MULTIPART:
        kind = (given.values("type") or (DICOM,))[0].lower()
    if kind not in RECEIVERS:
        raise _unsupported()
    return kind, _boundary(given) if given.essence == MULTIPART else None


def _boundary(given: MediaRange) -> str:
    boundaries = given.values("boundary")
    if len(boundaries) != 1:
        raise InvalidRequest("the Content-Type names no boundary")
    return boundaries[0]


def _unsupported() -> UnsupportedMediaType:
    possible = ", ".join(f'{MULTIPART}; type="{kind}", {kind}' for kind in RECEIVERS)
    return UnsupportedMediaType(f"Content-Type may be {possible}")


def _body(call: Call) -> Iterator[bytes]:
    settings = call.door.settings
    return decoded(
        call.body,
        call.headers.get("content-encoding", ""),
        limit_bytes=settings.http.body_limit_bytes,
        ratio_limit=settings.pixels.inflate_ratio_limit,
    )


def _reader(call: Call, boundary: str) -> Reader:
    http = call.door.settings.http
    return Reader(boundary, parts_limit=http.parts_limit, header_limit_bytes=http.part_header_bytes)


def _take_parts(body: Iterator[bytes], reader: Reader, receiver: Receiver) -> None:
    for chunk in body:
        for event in reader.feed(chunk):
            if isinstance(event, PartBegin):
                receiver.begin(event.headers)
            elif isinstance(event, PartEnd):
                receiver.end()
            else:
                receiver.write(event)
    reader.end()


def _take_single(body: Iterator[bytes], headers: dict[str, str], receiver: Receiver) -> None:
    """A body that is one part (§8.6.1.1; T2)."""
    receiver.begin(headers)
    for chunk in body:
        receiver.write(chunk)
    receiver.end()


def _reply(call: Call, form: Representation, results: list[Result]) -> Reply:
    status = store_report.status_of(results)
    answer = store_report.data_set(results, call.base)
    headers: list[Header] = [(b"cache-control", b"no-store")]
    for sentence in store_report.sentences(results)[:_SENTENCES]:
        printable = "".join(letter if letter.isprintable() else "?" for letter in sentence)
        headers.append((b"warning", f"299 {call.base}: {printable}".encode("latin-1", "replace")))
    if status < 400:
        headers += _places(call.base, results)
    elif isinstance(results[0], Failed) and status == 503:
        headers += headers_of(results[0].error)
    if form.media_type != XML:
        return whole(status, form.media_type, orjson.dumps(answer), headers)
    document = native_model(answer)
    if not form.multipart:
        return whole(status, XML, document, headers)
    boundary = multipart.new_boundary()
    part = multipart.Part(content_type=XML, chunks=[document], size_bytes=len(document))
    return whole(status, multipart.content_type(XML, boundary), b"".join(multipart.write([part], boundary)), headers)


def _places(base: str, results: list[Result]) -> list[Header]:
    """Where what was stored is found (Table 10.5.3-2; T11): the study, or all when there are several."""
    studies = store_report.studies_of(results)
    place = f"{base}/studies/{studies[0]}" if len(studies) == 1 else f"{base}/studies"
    return [(b"location", place.encode("latin-1")), (b"content-location", place.encode("latin-1"))]
