"""Thumbnails: one small picture that stands for a study, series or instance (PS3.18 §10.4.1.1.4; DICOM.md W24).

Made once and kept by the hash of the data set shown, so never stale. No text is written into them.
"""

from __future__ import annotations

import contextlib
from itertools import islice

from bridge.archive import Archive
from bridge.errors import NotAcceptable, NotFound
from bridge.kinds import Kind
from bridge.render import Render
from bridge.render.card import card
from bridge.render.files import PictureFiles
from bridge.render.parameters import Parameters
from bridge.render.subject import Subject
from bridge.rendering import EDITION
from bridge.rendering.geometry import Viewport
from bridge.retrieve import Retrieve
from storage.records import InstanceRecord, Level, ResourceRef

_QUALITY = 80
_TRIES = 4  # instances tried where the first ones are broken
_SLIDES = "SM"
_SLIDES_LIMIT = 50  # images of one slide whose headers are looked at
_SLIDE_FLAVORS = {"THUMBNAIL": 0, "VOLUME": 1}  # value 3 of Image Type (PS3.3 §C.8.12.4.1.1)
# Modalities whose images lie over others, or are results rather than what was seen; shown when there is nothing else.
_SECOND_CHOICE = frozenset({"SEG", "RTDOSE", "PR", "KO", "SR", "REG", "RTSTRUCT", "RTPLAN", "DOC"})


class Thumbnails:
    """The thumbnails of one archive. Thread-safe."""

    def __init__(self, archive: Archive, retrieve: Retrieve, render: Render) -> None:
        settings = archive.settings.rendering
        self._archive, self._retrieve, self._render = archive, retrieve, render
        self._side = settings.thumbnail_px
        self._scan_limit = settings.thumbnail_scan_limit
        self._files = PictureFiles(
            archive.settings.storage.directory.absolute() / "thumbnails",
            limit_bytes=settings.thumbnail_files_bytes,
            keep_s=settings.thumbnail_keep_s,
        )

    def revision(self, ref: ResourceRef) -> int:
        """Changes when another picture may stand for `ref`. Raises NotFound, Gone, Unavailable."""
        revision = self._archive.index.revision(ref)
        if revision is None:
            self._retrieve.instances(ref)  # says whether it was never here or is gone
            raise NotFound("the resource has just gone")
        return revision

    def picture(
        self, ref: ResourceRef, media_type: str, viewport: Viewport | None = None, frame: int | None = None
    ) -> bytes:
        """A picture file of this type; `frame` names one of an instance's. Raises what rendering raises.

        Where the instance that stands for a study or series is broken, the next ones are tried.
        """
        box = viewport or Viewport(self._side, self._side)
        *first, last = self._candidates(ref)
        for record in first:
            with contextlib.suppress(NotAcceptable):
                return self._kept(record, media_type, box, frame)
        return self._kept(last, media_type, box, frame)

    def _kept(self, record: InstanceRecord, media_type: str, box: Viewport, frame: int | None) -> bytes:
        key = f"{EDITION} {record.data_set_sha256} {frame} {media_type} {box.width}x{box.height}"
        body = self._files.get(key)
        if body is None:
            body = self._drawn(record, media_type, box, frame)
            if self._archive.has_free_space(len(body)):
                self._files.put(key, body)
        return body

    def _drawn(self, record: InstanceRecord, media_type: str, box: Viewport, frame: int | None) -> bytes:
        parameters = Parameters(viewport=box, quality=_QUALITY, texts=False, motion=False)
        if frame is None and media_type not in self._render.media_types(record):
            return card(Subject(self._retrieve, record).kind, media_type, box, _QUALITY)
        if frame is None:
            return b"".join(self._render.whole(record, media_type, parameters).chunks)
        return b"".join(next(self._render.frames(record, (frame,), media_type, parameters)).chunks)

    def _candidates(self, ref: ResourceRef) -> list[InstanceRecord]:
        """The instance itself, or those that may stand for a study or series, the best first; never empty."""
        if ref.level is Level.INSTANCE:
            return [self._retrieve.instance(ref)]
        records = list(islice(self._retrieve.instances(ref), self._scan_limit))
        images = [record for record in records if Subject(self._retrieve, record).kind is Kind.IMAGE]
        if not images:
            return [next((record for record in records if self._can_show(record)), records[0])]
        first = min(images, key=_series_order)
        series = [record for record in images if record.ref.series_instance_uid == first.ref.series_instance_uid]
        series.sort(key=_instance_order)
        middle = len(series) // 2
        if first.attributes.get("Modality") == _SLIDES:
            series = sorted(series[:_SLIDES_LIMIT], key=self._slide_order)
        else:
            series = [series[place] for place in sorted(range(len(series)), key=lambda place: abs(place - middle))]
        return series[:_TRIES]

    def _slide_order(self, record: InstanceRecord) -> tuple[int, int]:
        """The smallest picture of the tissue first; a label names the patient, an overview shows the label."""
        try:
            flavor = self._render.image_type(record)[2:3]
        except NotAcceptable:
            flavor = []
        return _SLIDE_FLAVORS.get("".join(flavor), len(_SLIDE_FLAVORS)), _number(record, "NumberOfFrames")

    def _can_show(self, record: InstanceRecord) -> bool:
        return "image/jpeg" in self._render.media_types(record)


def _series_order(record: InstanceRecord) -> tuple[bool, int, str]:
    modality = record.attributes.get("Modality", "")
    return modality in _SECOND_CHOICE, _number(record, "SeriesNumber"), record.ref.series_instance_uid or ""


def _instance_order(record: InstanceRecord) -> tuple[int, str]:
    return _number(record, "InstanceNumber"), record.ref.sop_instance_uid or ""


def _number(record: InstanceRecord, keyword: str) -> int:
    """Numbers first, in their order; what has none comes last."""
    text = record.attributes.get(keyword, "")
    return int(text) if text.isascii() and text.lstrip("-").isdigit() else 1 << 62
