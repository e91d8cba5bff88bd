"""Store requests of metadata and bulk data: DICOM JSON or XML, and the parts that BulkDataURIs point at (§10.5.1.4).

The metadata are held, up to `http.document_limit_bytes`; bulk values go to a temporary file. Instances are put together
once all parts are there, because a value may come long after what it belongs to.
"""

from __future__ import annotations

from functools import partial

import orjson

from bridge.assembly import Assembly, named
from bridge.errors import InvalidInstance, InvalidRequest, OutOfResources, TooLarge
from bridge.syntaxes import OCTETS
from dicomweb.deps import Call
from dicomweb.grammar import MediaRange, parse_media_type
from dicomweb.negotiate import ALIASES, JSON, PLAIN_JSON, XML
from dicomweb.store_batch import Batch
from dicomweb.xml_reader import read_native_model
from storage.errors import StorageFull

XML_TYPES = (XML, "application/xml", "text/xml")
METADATA_TYPES = (JSON, PLAIN_JSON, *XML_TYPES)
_OCTETS = MediaRange("application", "octet-stream")


class Documents:
    """Takes the parts of such a message; see stow.Receiver."""

    def __init__(self, call: Call, batch: Batch) -> None:
        http = call.door.settings.http
        self._batch = batch
        self._assembly = Assembly(
            call.door.archive,
            call.door.retrieve.pixels,
            site=call.principal.site,
            origin=call.origin,
            study=call.path.get("study"),
        )
        self._root_type = _root_type(call.headers["content-type"])
        self._left = http.document_limit_bytes
        self._part_limit = http.part_limit_bytes
        self._instances_limit = http.parts_limit
        self._documents: list[tuple[bool, bytearray]] = []  # XML?, its bytes
        self._bulk: tuple[int, MediaRange, str] | None = None  # start, type and location of the bulk value under way

    def begin(self, headers: dict[str, str]) -> None:
        """A part is metadata by its type; the first one also because the message says so."""
        said = headers.get("content-type", OCTETS if self._documents else self._root_type)
        kind = parse_media_type(said) or _OCTETS
        if kind.essence in METADATA_TYPES:
            self._bulk = None
            self._documents.append((kind.essence in XML_TYPES, bytearray()))
        else:
            self._bulk = (self._assembly.bulk.size, kind, headers.get("content-location", ""))

    def write(self, chunk: memoryview | bytes) -> None:
        """Raises TooLarge and OutOfResources: without one of its parts the message is not whole."""
        if self._bulk is None:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("the metadata are larger than http.document_limit_bytes")
            self._documents[-1][1].extend(chunk)
            return
        try:
            self._assembly.bulk.write(chunk)
        except StorageFull as error:
            raise OutOfResources(str(error)) from error
        if self._assembly.bulk.size - self._bulk[0] > self._part_limit:
            raise TooLarge("a bulk value is larger than http.part_limit_bytes")

    def end(self) -> None:
        """See stow.Receiver."""
        if self._bulk is not None:
            start, kind, location = self._bulk
            syntax = (kind.values("transfer-syntax") or ("",))[0]
            self._assembly.bulk.end(start, location, ALIASES.get(kind.essence, kind.essence), syntax)

    def finish(self) -> None:
        """All parts are there: put the instances together. Raises InvalidRequest where the metadata cannot be read."""
        if not self._documents:
            raise InvalidRequest("the message has no metadata")
        try:
            instances = [item for is_xml, data in self._documents for item in _instances(bytes(data), is_xml=is_xml)]
        except InvalidInstance as error:
            raise InvalidRequest(str(error)) from error
        if len(instances) > self._instances_limit:
            raise InvalidRequest("the metadata describe more instances than http.parts_limit")
        for document in instances:
            sop_class_uid, sop_instance_uid = named(document)
            store = partial(self._assembly.store, document)
            self._batch.add(store, sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)
        self._batch.results()
        self._assembly.close()

    def abandon(self) -> None:
        """See stow.Receiver."""
        self._batch.results()  # those under way still read their bulk values
        self._assembly.close()


def _root_type(content_type: str) -> str:
    """What the first part of a message is (RFC 2387 §3.1), or the message itself when it is one part."""
    given = parse_media_type(content_type)
    return (given.values("type") or (given.essence,))[0] if given else OCTETS


def _instances(data: bytes, *, is_xml: bool) -> list[object]:
    """The metadata of each instance: an array of them, or one alone. Raises InvalidInstance."""
    if is_xml:
        return [read_native_model(data)]
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInstance("the metadata are no JSON") from error
    if document == []:
        raise InvalidInstance("the metadata describe no instance")
    return document if isinstance(document, list) else [document]
