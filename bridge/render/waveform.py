"""Waveforms: drawn on squared paper, as a picture or as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bridge.errors import InvalidRequest, NotAcceptable
from bridge.kinds import ECG_CLASSES
from bridge.render.parameters import Parameters
from bridge.render.subject import Rendered, Subject, rendered
from bridge.render.wording import PATIENT, TECHNIQUE, annotation_lines
from bridge.rendering.encoding import STILLS, encoded
from bridge.rendering.geometry import placed
from bridge.rendering.profiles import NO, with_profile
from bridge.rendering.refusal import Unpaintable
from bridge.settings import Settings
from bridge.waveforms import raster, svg
from bridge.waveforms.sheet import SECONDS_SHOWN, Sheet, lay_out
from bridge.waveforms.signals import read_recording

SVG = "image/svg+xml"


class WaveformRenderer:
    """Renders waveforms."""

    def __init__(self, settings: Settings) -> None:
        self._limit_bytes = settings.rendering.report_limit_bytes

    def media_types(self, _subject: Subject, /) -> Sequence[str]:
        """Every picture, and SVG for who asks for it."""
        return (*STILLS, SVG)

    def whole(self, subject: Subject, media_type: str, parameters: Parameters) -> Rendered:
        """The drawing. Raises NotAcceptable when there is nothing to draw, TooLarge for a header beyond the limit."""
        sheet = self._sheet(subject, parameters)
        if media_type == SVG:
            if parameters.icc_profile != NO:
                raise InvalidRequest(f"{SVG} cannot carry a colour profile")
            return rendered(media_type, "".join(svg.pieces(sheet, "Waveform")).encode())
        try:
            picture = placed(raster.paint(sheet), parameters.viewport, 1.0)
            picture, profile = with_profile(picture, parameters.icc_profile, b"")
            return rendered(media_type, encoded(picture, media_type, parameters.quality, profile))
        except Unpaintable as error:
            raise NotAcceptable(str(error)) from error

    def parts(self, subject: Subject, media_type: str, parameters: Parameters) -> Iterator[Rendered]:
        """The same."""
        yield self.whole(subject, media_type, parameters)

    def _sheet(self, subject: Subject, parameters: Parameters) -> Sheet:
        data_set = subject.attributes(self._limit_bytes)
        recording = read_recording(data_set, subject.beginning, SECONDS_SHOWN)
        recording = recording if parameters.texts else replace(recording, statements=(), measurements=())
        kinds = [kind for kind in (PATIENT, TECHNIQUE) if kind in parameters.annotation]
        heading = [line for kind in kinds for line in annotation_lines(data_set, kind)]
        return lay_out(recording, calibrated=subject.record.sop_class_uid in ECG_CLASSES, heading=heading)
