"""A DICOMweb server that we pull from: QIDO-RS, then WADO-RS of stored bytes (PS3.18 §10.6, §10.4.1.1.1).

`transfer-syntax=*` asks for instances as they are stored there (PS3.18 §8.7.3.5.2). A whole series comes in one
answer, a part of one instance by instance over a kept connection. Nothing is held in memory but a piece.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import orjson

from bridge.archive import Archive
from bridge.arrival import Arrival
from bridge.errors import BridgeError, InvalidRequest, OutOfResources, Unavailable
from bridge.pulling.matches import (
    INSTANCES,
    MODALITIES,
    MODALITY,
    PATIENT_ID,
    SERIES_UID,
    SOP_UID,
    STUDY_DATE,
    STUDY_UID,
    Match,
    instance,
    studies_in,
    text,
    with_uid,
)
from bridge.pulling.remote import (
    Arrivals,
    Refused,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    TooMany,
    Unreachable,
)
from bridge.pulling.selection import Days, Selection
from bridge.settings import WebDestination
from dicomweb.grammar import parse_media_type
from dicomweb.multipart_reader import PartBegin, PartEnd, Reader
from dicomweb.source_line import SourceLine
from storage.records import Origin

_JSON = "application/dicom+json"
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_READ_BYTES = 1 << 18

Keys = list[tuple[str, str]]


class RemoteArchive:
    """A Source."""

    def __init__(self, archive: Archive, destination: WebDestination, *, site: str) -> None:
        self.name = destination.name
        self.site = site
        self._archive = archive
        self._destination = destination
        self._origin = Origin(door="HTTP", name=destination.name, address=destination.url.split("/")[2])

    def studies(self, selection: Selection, days: Days | None) -> Sequence[RemoteStudy]:
        """See Source."""
        modalities = selection.modalities
        wanted = {
            STUDY_DATE: days.range if days else "",
            PATIENT_ID: selection.patient,
            STUDY_UID: selection.study,
            MODALITIES: modalities[0] if len(modalities) == 1 else "",
        }
        keys = [(tag, value) for tag, value in wanted.items() if value]
        keys += [("includefield", tag) for tag in (INSTANCES, MODALITIES, STUDY_DATE)]
        with closing(self._line()) as line:
            return studies_in(self._found(line, "/studies", keys, STUDY_UID), selection)

    def series(self, study: RemoteStudy) -> Sequence[RemoteSeries]:
        """See Source."""
        path = f"/studies/{study.study_instance_uid}/series"
        with closing(self._line()) as line:
            return [
                RemoteSeries(
                    study_instance_uid=study.study_instance_uid,
                    series_instance_uid=text(one, SERIES_UID),
                    modality=text(one, MODALITY),
                    instances=self._instances(line, f"{path}/{text(one, SERIES_UID)}/instances"),
                )
                for one in list(self._found(line, path, [("includefield", MODALITY)], SERIES_UID))
            ]

    def fetch(self, part: RemoteSeries, arrivals: Arrivals, *, singly: bool) -> None:
        """See Source."""
        series = f"/studies/{part.study_instance_uid}/series/{part.series_instance_uid}"
        by_instance = [f"{series}/instances/{one.sop_instance_uid}" for one in part.instances]
        problem = ""
        with closing(self._line()) as line:
            for path in by_instance if singly or not part.is_whole else [series]:
                try:
                    with line.get(path, _AS_STORED) as answer:
                        if answer is not None:
                            self._take(answer, part.study_instance_uid, arrivals)
                except Refused as error:
                    problem = str(error)
        if problem:
            raise Refused(problem)

    def _line(self) -> SourceLine:
        return SourceLine(self._destination, self._archive.settings.pull.timeout_s)

    def _instances(self, line: SourceLine, path: str) -> tuple[RemoteInstance, ...]:
        return tuple(instance(one) for one in self._found(line, path, [], SOP_UID))

    def _found(self, line: SourceLine, path: str, keys: Keys, unique: str) -> Iterator[Match]:
        """All matches, page by page (PS3.18 §8.3.4.4) until one brings nothing new: a server may send less than is
        asked for, or ignore the offset."""
        limit, seen, offset = self._archive.settings.pull.page_results, set[str](), 0
        while True:
            with line.get(path, _JSON, [*keys, ("limit", str(limit)), ("offset", str(offset))]) as answer:
                page = self._document(answer) if answer is not None else []
            fresh = [one for one in with_uid(page, unique) if text(one, unique) not in seen]
            if not fresh:
                return
            seen |= {text(one, unique) for one in fresh}
            yield from fresh
            offset += len(page)

    def _document(self, answer: http.client.HTTPResponse) -> list[Match]:
        """Raises TooMany beyond http.document_limit_bytes, Refused for what is no DICOM JSON."""
        limit = self._archive.settings.http.document_limit_bytes
        body = answer.read(limit + 1)
        if len(body) > limit:
            raise TooMany("one answer is longer than http.document_limit_bytes")
        try:
            document = orjson.loads(body or b"[]")
        except orjson.JSONDecodeError as error:
            raise Refused("it answers a search with something that is no JSON") from error
        return [one for one in document if isinstance(one, dict)] if isinstance(document, list) else []

    def _take(self, answer: http.client.HTTPResponse, study: str, arrivals: Arrivals) -> None:
        """Bring every instance of an answer in. Raises Unreachable when the answer breaks off."""
        kind = parse_media_type(answer.headers.get("Content-Type", ""))
        boundary = next(iter(kind.values("boundary")), "") if kind else ""
        pieces = iter(lambda: answer.read(_READ_BYTES), b"")
        taking = _Taking(self._archive, self.site, self._origin, study, arrivals)
        try:
            if kind is not None and kind.essence == "multipart/related":
                self._read_parts(pieces, boundary, taking)
            elif kind is not None and kind.essence == "application/dicom":
                _read_one(pieces, answer.length, taking)
            else:
                raise Refused(f"it sends {kind.essence if kind else 'no media type'} where instances were asked for")
        finally:
            taking.abandon()

    def _read_parts(self, pieces: Iterator[bytes], boundary: str, taking: _Taking) -> None:
        http_settings = self._archive.settings.http
        try:
            reader = Reader(
                boundary, parts_limit=http_settings.parts_limit, header_limit_bytes=http_settings.part_header_bytes
            )
            for piece in pieces:
                for event in reader.feed(piece):
                    if isinstance(event, PartBegin):
                        taking.begin()
                    elif isinstance(event, PartEnd):
                        taking.complete()
                    else:
                        taking.write(event)
            reader.end()
        except InvalidRequest as error:
            raise Unreachable(f"its answer broke off or is no multipart message: {error}") from error


class _Taking:
    """The instances of one answer, one after the other."""

    def __init__(self, archive: Archive, site: str, origin: Origin, study: str, arrivals: Arrivals) -> None:
        limit_bytes = archive.settings.http.part_limit_bytes
        self._new: Callable[[], Arrival] = lambda: Arrival(
            archive, site=site, origin=origin, limit_bytes=limit_bytes, study=study
        )
        self._arrivals = arrivals
        self._arrival: Arrival | None = None

    def begin(self) -> None:
        """An instance starts."""
        self._arrival = self._new()

    def write(self, piece: memoryview | bytes) -> None:
        """A piece of it."""
        if self._arrival is not None:
            self._arrival.write(piece)

    def complete(self) -> None:
        """It is whole. Raises Unreachable while our own archive cannot take anything."""
        arrival, self._arrival = self._arrival, None
        if arrival is None:
            return
        try:
            arrival.complete()
        except (OutOfResources, Unavailable) as error:
            raise Unreachable(f"our own archive cannot take it: {error}") from error
        except BridgeError as error:
            if arrival.meta is not None:
                self._arrivals.refused(arrival.meta.media_storage_sop_instance_uid, str(error))
            return
        self._arrivals.arrived()

    def abandon(self) -> None:
        """Forget one that broke off."""
        if self._arrival is not None:
            self._arrival.abandon()


def _read_one(pieces: Iterator[bytes], announced: int | None, taking: _Taking) -> None:
    """An answer that is one instance by itself, as some servers send it."""
    taking.begin()
    size = 0
    for piece in pieces:
        taking.write(piece)
        size += len(piece)
    if announced is not None and size != announced:
        raise Unreachable("its answer broke off")
    taking.complete()
