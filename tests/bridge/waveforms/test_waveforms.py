"""Waveforms on paper (PS3.3 §C.10.9)."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import TwelveLeadECGWaveformStorage

from bridge.errors import NotAcceptable
from bridge.waveforms import raster, svg
from bridge.waveforms.sheet import SECONDS_SHOWN, Sheet, lay_out
from bridge.waveforms.signals import Recording, read_recording
from tests.bridge.shown import as_metadata, coded, instance, real_file, sequence_item

SECOND_MM, MILLIVOLT_MM = 25.0, 10.0
KINDS = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}


def channel(label: str = "I", unit: str = "uV", sensitivity: str = "1", **attributes: object) -> Dataset:
    item = Dataset()
    item.ChannelSourceSequence = [coded(Code("2:1", "MDC", f"Lead {label}"))]
    item.ChannelSensitivity, item.ChannelSensitivityUnitsSequence = sensitivity, [coded(Code(unit, "UCUM", unit))]
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def group(
    samples: NDArray[np.int64], *channels: Dataset, kind: str = "SS", hertz: str = "100", **more: object
) -> Dataset:
    """`samples` is times x channels."""
    item = Dataset()
    item.NumberOfWaveformSamples, item.NumberOfWaveformChannels = samples.shape
    item.SamplingFrequency, item.WaveformSampleInterpretation = hertz, kind
    item.WaveformBitsAllocated = np.dtype(KINDS.get(kind, "i2")).itemsize * 8
    item.ChannelDefinitionSequence = list(channels)
    data = samples.astype(KINDS.get(kind, "i2")).tobytes()
    item.add_new("WaveformData", "OB" if item.WaveformBitsAllocated == 8 else "OW", data + bytes(len(data) % 2))
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def ecg(*groups: Dataset, **attributes: object) -> Dataset:
    return instance(TwelveLeadECGWaveformStorage, Modality="ECG", WaveformSequence=list(groups), **attributes)


def read(item: Dataset, seconds: float = SECONDS_SHOWN) -> Recording:
    def fetch(path: str, length: int) -> bytes:
        _, number, _ = path.split("/")
        return bytes(item.WaveformSequence[int(number) - 1].WaveformData[:length])

    return read_recording(as_metadata(item), fetch, seconds)


def column(*values: float) -> NDArray[np.int64]:
    return np.array(values, np.int64)[:, None]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_width_and_sign_are_read(kind: str) -> None:
    limits = np.iinfo(KINDS[kind])
    recording = read(ecg(group(column(limits.min, limits.max, 1), channel(), kind=kind)))
    assert recording.groups[0].channels[0].values.tolist() == [limits.min, limits.max, 1]


def test_a_value_is_the_sample_times_sensitivity_and_correction_plus_baseline() -> None:
    described = channel(sensitivity="2.5", ChannelSensitivityCorrectionFactor="2", ChannelBaseline="100")
    recording = read(ecg(group(column(0, 10, -10), described)))
    assert recording.groups[0].channels[0].values.tolist() == [100, 150, 50]


def test_channels_are_interleaved_and_named_by_label_or_source() -> None:
    samples = np.array([[1, 10, 100], [2, 20, 200]], np.int64)
    recording = read(ecg(group(samples, channel("I"), channel("aVR", ChannelLabel="R arm"))))
    assert [one.label for one in recording.groups[0].channels] == ["I", "R arm", "Channel 3"]
    assert [one.values.tolist() for one in recording.groups[0].channels] == [[1, 2], [10, 20], [100, 200]]


def test_padding_is_a_gap_in_the_trace() -> None:
    samples = column(1, 2, -32768, 3, 4)
    recording = read(ecg(group(samples, channel(), WaveformPaddingValue=b"\0\x80")))
    assert np.isnan(recording.groups[0].channels[0].values).tolist() == [False, False, True, False, False]
    sheet = lay_out(recording, calibrated=True)
    assert sorted(len(trace) for trace in sheet.traces) == [2, 2, 6]  # the last is the calibration pulse


def test_only_what_is_drawn_is_read() -> None:
    asked: list[int] = []
    samples = np.zeros((100_000, 2), np.int64)

    def fetch(path: str, length: int) -> bytes:
        asked.append(length)
        return bytes(length)

    recording = read_recording(as_metadata(ecg(group(samples, channel(), channel()))), fetch, 2.0)
    assert asked == [201 * 2 * 2]
    assert recording.groups[0].duration_s == 1000


def traces_of(recording: Recording) -> Sheet:
    return lay_out(recording, calibrated=True)


def test_a_second_is_25_mm_and_a_millivolt_10_mm() -> None:
    samples = column(0, 0, 1000, 0, *([0] * 97))  # a spike of 1 mV at 0.02 s, one second in all
    trace = traces_of(read(ecg(group(samples, channel("I", "uV"))))).traces[0]
    spike = trace[trace[:, 1].argmin()]
    assert np.ptp(trace[:, 1]) == pytest.approx(MILLIVOLT_MM)
    assert spike[0] - trace[0, 0] == pytest.approx(0.02 * SECOND_MM)
    assert np.ptp(trace[:, 0]) == pytest.approx(SECOND_MM)


@pytest.mark.parametrize(("unit", "sample"), [("mV", 1), ("uV", 1000), ("nV", 1_000_000), ("V", 0.001)])
def test_every_unit_of_voltage_has_the_same_height(unit: str, sample: float) -> None:
    described = channel("I", unit, sensitivity=f"{sample:g}")
    trace = traces_of(read(ecg(group(column(0, 1, 0), described)))).traces[0]
    assert np.ptp(trace[:, 1]) == pytest.approx(MILLIVOLT_MM)


def test_a_signal_too_high_for_its_row_is_drawn_smaller_and_says_so() -> None:
    sheet = traces_of(read(ecg(group(column(0, 20_000, 0), channel("I", "uV")))))
    assert np.ptp(sheet.traces[0][:, 1]) == pytest.approx(40)
    assert "2 mm/mV" in sheet.labels[0].text


def test_another_unit_gets_a_round_scale_of_its_own() -> None:
    sheet = traces_of(read(ecg(group(column(80, 120, 80), channel("ART", "mm[Hg]")))))
    assert "0.5 mm/mm[Hg]" in sheet.labels[0].text


def test_channels_of_different_scales_are_labelled_one_by_one() -> None:
    samples = np.array([[0, 0], [1000, 20_000], [0, 0]], np.int64)
    labels = [label.text for label in traces_of(read(ecg(group(samples, channel("I"), channel("II"))))).labels]
    assert {"I", "II", "10 mm/mV", "2 mm/mV"} <= set(labels)


def test_peaks_survive_when_there_are_more_samples_than_places() -> None:
    samples = np.zeros((10_000, 1), np.int64)
    samples[5_003] = 1000
    trace = traces_of(read(ecg(group(samples, channel(), hertz="10000")))).traces[0]
    assert len(trace) < 1000
    assert np.ptp(trace[:, 1]) == pytest.approx(MILLIVOLT_MM)


def test_groups_stand_below_each_other_with_their_names() -> None:
    first = group(column(0, 1), channel(), MultiplexGroupLabel="RHYTHM")
    second = group(column(0, 1), channel(), MultiplexGroupLabel="MEDIAN BEAT")
    sheet = traces_of(read(ecg(first, second)))
    assert sheet.boxes[0].top + sheet.boxes[0].height < sheet.boxes[1].top
    captions = [label.text for label in sheet.labels if "mm/s" in label.text]
    assert captions == ["RHYTHM, 25 mm/s, 10 mm/mV, 100 Hz", "MEDIAN BEAT, 25 mm/s, 10 mm/mV, 100 Hz"]


def test_a_long_recording_says_how_much_of_it_is_drawn() -> None:
    sheet = traces_of(read(ecg(group(np.zeros((9000, 1), np.int64), channel()))))
    assert sheet.labels[0].text.endswith("the first 12 s of 90 s")
    assert sheet.width < 340


def test_statements_stand_above_the_paper() -> None:
    said = Dataset()
    said.UnformattedTextValue, said.ReferencedWaveformChannels = "Sinus rhythm\r\nnormal", [1, 0]
    sheet = traces_of(read(ecg(group(column(0, 1), channel()), WaveformAnnotationSequence=[said, said])))
    assert [label.text for label in sheet.labels[:2]] == ["Sinus rhythm normal", "25 mm/s, 10 mm/mV, 100 Hz"]


def test_measurements_of_the_whole_recording_stand_there_too() -> None:
    def interval(name: str, value: str, **more: object) -> Dataset:
        item = sequence_item(NumericValue=value, ReferencedWaveformChannels=[1, 0], **more)
        item.ConceptNameCodeSequence = [coded(Code("1", "SCPECG", name))]
        item.MeasurementUnitsCodeSequence = [coded(Code("ms", "UCUM", "milliseconds"))]
        return item

    made = [
        interval("PR Interval", "161"),
        interval("QT Interval", "380"),
        interval("P Onset", "9", TemporalRangeType="POINT"),
    ]
    sheet = traces_of(read(ecg(group(column(0, 1), channel()), WaveformAnnotationSequence=made)))
    assert sheet.labels[0].text == "PR Interval 161 ms, QT Interval 380 ms"


@pytest.mark.parametrize(
    "wrong",
    [
        {"SamplingFrequency": "0"},
        {"SamplingFrequency": "-5"},
        {"WaveformBitsAllocated": 32},
        {"WaveformSampleInterpretation": "MB"},
        {"NumberOfWaveformChannels": 0},
        {"NumberOfWaveformChannels": 60000},
        {"WaveformData": b""},
    ],
)
def test_a_group_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(NotAcceptable):
        read(ecg(group(column(0, 1), channel(), **wrong)))


def test_a_group_that_claims_more_than_it_has_is_drawn_as_far_as_it_goes() -> None:
    recording = read(ecg(group(column(0, 1, 2), channel(), NumberOfWaveformSamples=4_000_000_000)))
    assert len(recording.groups[0].channels[0].values) <= 4  # one sample of padding may be among them


def test_many_groups_and_channels_are_counted_not_drawn() -> None:
    wide = group(np.zeros((3, 100), np.int64), *[channel() for _ in range(100)])
    sheet = traces_of(read(ecg(*[wide] * 6)))
    assert "36 more channels are not drawn" in [label.text for label in sheet.labels]
    assert "2 more multiplex groups are not drawn" in [label.text for label in sheet.labels]
    picture = raster.paint(sheet)
    assert picture.width * picture.height <= 8_100_000


@pytest.mark.parametrize("value", [0, 1_000_000_000, -1_000_000_000])
@pytest.mark.parametrize("sensitivity", ["1", "1e300", "1e-300", "0"])
def test_absurd_numbers_still_give_a_picture(value: int, sensitivity: str) -> None:
    recording = read(ecg(group(column(0, value, 0), channel("I", "mV", sensitivity), kind="SL")))
    sheet = traces_of(recording)
    assert all(np.isfinite(trace).all() for trace in sheet.traces)
    assert raster.paint(sheet).width > 0


def test_the_real_ecg_is_painted_on_squared_paper(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "variety" / "pydicom-pydicom__test_files__waveform_ecg.dcm"
    stored = dcmread(path)

    def fetch(where: str, length: int) -> bytes:
        return bytes(stored.WaveformSequence[int(where.split("/")[1]) - 1].WaveformData[:length])

    recording = read_recording(real_file(path), fetch, SECONDS_SHOWN)
    values = stored.waveform_array(0)
    for number, one in enumerate(recording.groups[0].channels):
        np.testing.assert_allclose(one.values, values[:, number])
    assert [one.label for one in recording.groups[0].channels][:6] == ["I", "II", "III", "aVR", "aVL", "aVF"]
    picture = raster.paint(lay_out(recording, calibrated=True))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    shades = Image.open(buffer).convert("RGB").getcolors(1 << 20)
    assert shades is not None
    assert {(255, 255, 255), (0, 0, 0)} <= {shade for _, shade in shades}


def test_the_same_sheet_is_written_as_well_formed_svg() -> None:
    hostile = channel('<script>alert("1")</script>')
    sheet = traces_of(read(ecg(group(column(0, 1000, 0), hostile))))
    root = ElementTree.fromstring("".join(svg.pieces(sheet, "<ECG>")))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "defs", "pattern", "path", "rect", "g", "polyline", "text"}
    assert root.get("width", "").endswith("mm")
    assert len(root.findall(".//{*}polyline")) == len(sheet.traces)
