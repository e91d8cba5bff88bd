"""A DICOM file on its way in, chunk by chunk (PS3.10 §7): its header is kept as it came, its data set is spooled.

Nothing raises before the end, so that a door can read past a file that is refused to the one behind it.
"""

from __future__ import annotations

from pathlib import Path

from bridge.archive import Archive
from bridge.errors import BridgeError, OutOfResources, SyntaxNotSupported, TooLarge
from bridge.ingest import Delivery, Receipt, begin, ingest, refuse
from bridge.part10 import PREAMBLE_BYTES, PREFIX, FileMeta, build_header, read_preamble
from bridge.syntaxes import STORABLE
from storage.errors import StorageFull
from storage.objects.payload import Spool
from storage.records import Origin

_HEADER_PROBE_BYTES = 1 << 16  # more than any file meta information found in practice
_READ_BYTES = 1 << 20


class Arrival:
    """One file. Write it, then call `complete` or `abandon`, from one thread at a time."""

    def __init__(
        self, archive: Archive, *, site: str, origin: Origin, limit_bytes: int | None = None, study: str | None = None
    ) -> None:
        """`study`: the only study that the instance may belong to."""
        self._archive = archive
        self._site = site
        self._origin = origin
        self._study = study
        self._left = limit_bytes
        self._start = bytearray()  # of the file, until its header is understood
        self._spool: Spool | None = None
        self._refusal: BridgeError | None = None
        self.meta: FileMeta | None = None  # once the header is understood

    def write(self, chunk: bytes | memoryview) -> None:
        """Append to the file; what makes it impossible to keep is raised by `complete`."""
        if self._refusal is not None:
            return
        try:
            if self._left is not None:
                self._left -= len(chunk)
                if self._left < 0:
                    raise TooLarge("the instance is larger than one instance may be")
            if self._spool is not None:
                _append(self._spool, chunk)
            elif self._start or len(chunk) < _HEADER_PROBE_BYTES:
                self._start += chunk
                if len(self._start) >= _HEADER_PROBE_BYTES:
                    self._open(self._start)
            else:
                self._open(chunk)
        except BridgeError as error:
            self._refuse(error)

    def seal(self) -> None:
        """Nothing more comes: understand the header of a small file, so that `meta` is there before `complete`."""
        if self._refusal is None and self._spool is None:
            try:
                self._open(self._start)
            except BridgeError as error:
                self._refuse(error)

    def complete(self) -> Receipt:
        """Hand the file to the archive. Raises InvalidInstance, TooLarge and what `ingest` raises."""
        self.seal()
        if self._refusal is not None:
            refuse(self._archive, self._origin, self._refusal)
            raise self._refusal
        assert self._spool is not None
        assert self.meta is not None
        delivery = Delivery(
            transfer_syntax_uid=self.meta.transfer_syntax_uid,
            site=self._site,
            origin=self._origin,
            expected_study_instance_uid=self._study,
        )
        return ingest(self._archive, self._spool, delivery)

    def abandon(self) -> None:
        """Forget the file."""
        if self._spool is not None:
            self._spool.discard()
        self._start = bytearray()

    def _open(self, start: bytes | bytearray | memoryview) -> None:
        """Understand the header, and spool what came of the data set."""
        self.meta = meta = read_preamble(start)
        if meta.transfer_syntax_uid not in STORABLE:
            raise SyntaxNotSupported(
                f"transfer syntax {meta.transfer_syntax_uid} cannot be kept", offending_tag=0x00020010
            )
        with memoryview(start) as view:
            self._spool = begin(self._archive, _header(view, meta))
            _append(self._spool, view[meta.data_set_offset :])
        self._start = bytearray()

    def _refuse(self, error: BridgeError) -> None:
        self.abandon()
        self._refusal = error


def ingest_file(archive: Archive, path: Path, *, site: str, origin: Origin) -> Receipt:
    """Take a Part 10 file as it is, preamble and file meta included; the file itself is left alone."""
    arrival = Arrival(archive, site=site, origin=origin)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                arrival.write(chunk)
    except BaseException:
        arrival.abandon()
        raise
    return arrival.complete()


def _append(spool: Spool, chunk: bytes | memoryview) -> None:
    try:
        spool.write(chunk)
    except StorageFull as error:
        raise OutOfResources(str(error)) from error


def _header(view: memoryview, meta: FileMeta) -> bytes:
    """The header as it came; one without preamble gets a new one, so that what is kept is a DICOM file."""
    if bytes(view[PREAMBLE_BYTES : PREAMBLE_BYTES + len(PREFIX)]) == PREFIX:
        return bytes(view[: meta.data_set_offset])
    return build_header(
        sop_class_uid=meta.media_storage_sop_class_uid,
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
    )
