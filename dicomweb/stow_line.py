"""Instances on their way to another DICOMweb server, by STOW-RS: one instance a request (PS3.18 §10.5).

One instance at a time tells exactly which one the other side refuses, and costs little on a kept connection. Bodies are
streamed. What is implicit, big endian or deflated goes out as Explicit VR Little Endian, as the web wants it (PS3.18
§8.7.3); everything else as stored.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from bridge.archive import Archive
from bridge.errors import NotAcceptable
from bridge.forwarding.delivery import Courier, Line, NotWanted, Unreachable
from bridge.forwarding.pace import Pace
from bridge.outgoing import Representation
from bridge.retrieve import Retrieve
from bridge.settings import ForwardRule, WebDestination
from bridge.syntaxes import lookup
from dicomweb import multipart
from dicomweb.other_server import Broken, NoKey, OtherServer
from storage.records import InstanceRecord

_JSON = "application/dicom+json"
_ANSWER_LIMIT_BYTES = 1 << 20
_FAILED, _REASON = "00081198", "00081197"  # Failed SOP Sequence, Failure Reason (PS3.18 §I.2)
_OUT_OF_RESOURCES = 0xA7  # the high byte of a reason: later it may be taken (PS3.18 Table I.2-2)
_READ = frozenset({200, 202, 409})  # the answer says what became of the instance (PS3.18 Table 10.5.3-1)
_FOR_GOOD = frozenset({400, 406, 413, 415})  # nothing but another instance can change it


def courier(archive: Archive, retrieve: Retrieve, destination: WebDestination) -> Courier:
    """A Courier to a web destination."""

    @contextlib.contextmanager
    def opened(rule: ForwardRule) -> Iterator[Line]:
        line = _WebLine(destination, retrieve, rule, archive.settings.forwarding.timeout_s)
        try:
            yield line
        finally:
            line.close()

    return opened


class _WebLine:
    """A Line over one kept connection, which opens with the first instance and again after an error."""

    def __init__(self, destination: WebDestination, retrieve: Retrieve, rule: ForwardRule, timeout_s: float) -> None:
        self._retrieve = retrieve
        self._wanted = rule.transfer_syntax
        self._pace = Pace(rule.bytes_per_second)
        try:
            self._server = OtherServer(destination, timeout_s)
        except NoKey as error:
            raise Unreachable(str(error)) from error

    def send(self, record: InstanceRecord) -> None:
        """See Line."""
        file = self._representation(record)
        boundary = multipart.new_boundary()
        part = multipart.Part(
            content_type=f"application/dicom; transfer-syntax={file.transfer_syntax_uid}",
            chunks=self._pace.through(file.chunks),
            size_bytes=file.size_bytes,
        )
        headers = {"Accept": _JSON, "Content-Type": multipart.content_type("application/dicom", boundary)}
        if (size_bytes := multipart.total_size([part], boundary)) is not None:
            headers["Content-Length"] = str(size_bytes)
        try:
            with self._server.answer("POST", "/studies", headers, multipart.write([part], boundary)) as answer:
                body = answer.read(_ANSWER_LIMIT_BYTES)
        except Broken as error:
            raise Unreachable(str(error)) from error
        _judge(answer.status, body)

    def close(self) -> None:
        """Give the connection back."""
        self._server.close()

    def _representation(self, record: InstanceRecord) -> Representation:
        stored = lookup(record.transfer_syntax_uid)
        if self._wanted and record.frame_table is not None and stored is not None and not stored.encapsulated:
            try:
                return self._retrieve.object_stream(record, self._wanted)
            except NotAcceptable:
                return self._retrieve.object_stream(record, None)
        return self._retrieve.object_stream(record, None)


def _judge(status: int, body: bytes) -> None:
    """Return when the instance is safe there. Raises NotWanted or Unreachable."""
    reason = _failure(body) if status in _READ else None
    if status in (200, 202) and reason is None:
        return
    said = f"HTTP status {status}" + (f", reason {reason:04X}" if reason is not None else "")
    if reason is not None and reason >> 8 != _OUT_OF_RESOURCES:
        raise NotWanted(said)
    raise NotWanted(said) if status in _FOR_GOOD else Unreachable(said)


def _failure(body: bytes) -> int | None:
    """The reason for which the instance failed; None when it did not, or nobody says."""
    try:
        document: Any = json.loads(body)
        document = document[0] if isinstance(document, list) else document
        return int(document[_FAILED]["Value"][0][_REASON]["Value"][0])
    except (ValueError, LookupError, TypeError):
        return None
