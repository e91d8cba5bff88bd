"""The channels of a waveform object in their own units (PS3.3 §C.10.9). Pure but for `fetch`.

Only as many samples are read as will be drawn, so a day of ambulatory ECG costs no more than its first seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.attributes import Attributes
from bridge.errors import NotAcceptable

GROUPS_LIMIT = 4  # multiplex groups that are drawn; the others are counted
CHANNELS_LIMIT = 64  # of one group
_SKEW_LIMIT_S = 1.0  # between channels of a group; anything beyond is a mistake
SAMPLES_LIMIT = 4_000_000  # of one group, all channels together

Fetch = Callable[[str, int], bytes]  # (path of a bulk value, length) -> its first bytes, words little endian
Values = NDArray[np.float64]

# PS3.3 §C.10.9.1.5: Waveform Sample Interpretation -> type. MB and AB are logarithmic and only used for sound.
_SAMPLES = {
    "SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4", "SV": "<i8", "UV": "<u8",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One trace. `values` are in `unit` (UCUM), NaN where the recording has padding."""

    label: str
    unit: str
    values: Values
    delay_s: float  # of the first sample, after the group's


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Channels that were sampled together. `duration_s` is of the recording, of which `values` may be the beginning."""

    label: str
    frequency_hz: float
    duration_s: float
    channels: tuple[Channel, ...]
    hidden_channels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a waveform object holds. `statements` are what a person or device wrote to the recording as a whole."""

    groups: tuple[Group, ...]
    hidden_groups: int
    statements: tuple[str, ...]
    measurements: tuple[str, ...] = ()  # such as `PR Interval 161 ms`, of the recording as a whole


def read_recording(data_set: Attributes, fetch: Fetch, seconds: float) -> Recording:
    """The first `seconds` of each multiplex group. Raises NotAcceptable when there is nothing that can be drawn."""
    sequence = data_set.items("WaveformSequence")
    groups = [group for item in sequence[:GROUPS_LIMIT] if (group := _group(item, fetch, seconds)) is not None]
    if not groups:
        raise NotAcceptable("the waveform has no samples that can be drawn")
    annotations = [item for item in data_set.items("WaveformAnnotationSequence") if "TemporalRangeType" not in item]
    texts = [item.text("UnformattedTextValue").strip() for item in annotations]
    return Recording(
        groups=tuple(groups),
        hidden_groups=len(sequence) - len(groups),
        statements=tuple(dict.fromkeys(filter(None, texts))),
        measurements=tuple(filter(None, map(_measurement, annotations))),
    )


def _measurement(annotation: Attributes) -> str:
    """Name, value and unit; "" for an annotation that is no measurement (PS3.3 §C.10.10)."""
    value = annotation.text("NumericValue")
    name = annotation.item("ConceptNameCodeSequence").text("CodeMeaning")
    unit = annotation.item("MeasurementUnitsCodeSequence").text("CodeValue")
    return f"{name} {value} {unit}".strip() if name and value else ""


def _group(item: Attributes, fetch: Fetch, seconds: float) -> Group | None:
    """One multiplex group; None where its description contradicts itself."""
    count, samples = item.integer("NumberOfWaveformChannels"), item.integer("NumberOfWaveformSamples")
    frequency = item.number("SamplingFrequency")
    kind = _SAMPLES.get(item.text("WaveformSampleInterpretation"))
    if kind is None or count < 1 or samples < 1 or not 0 < frequency <= 1e9:
        return None
    if np.dtype(kind).itemsize * 8 != item.integer("WaveformBitsAllocated"):
        return None
    wanted = max(1, min(samples, int(seconds * frequency) + 1, SAMPLES_LIMIT // count))
    raw = _beginning(item, fetch, wanted * count * np.dtype(kind).itemsize)
    whole = len(raw) // (np.dtype(kind).itemsize * count)
    if not whole:
        return None
    table = np.frombuffer(raw, kind, whole * count).reshape(whole, count)
    padding = item.binary("WaveformPaddingValue")
    definitions = item.items("ChannelDefinitionSequence")[:CHANNELS_LIMIT]
    shown = min(count, CHANNELS_LIMIT)
    blank = np.frombuffer(padding[: table.dtype.itemsize], kind) if len(padding) >= table.dtype.itemsize else None
    channels = [
        _channel(definitions[number] if number < len(definitions) else Attributes({}), number, table, blank, frequency)
        for number in range(shown)
    ]
    return Group(
        label=item.text("MultiplexGroupLabel"),
        frequency_hz=frequency,
        duration_s=samples / frequency,
        channels=tuple(channels),
        hidden_channels=count - shown,
    )


def _channel(
    definition: Attributes, number: int, table: NDArray[np.int64], blank: NDArray[np.int64] | None, frequency: float
) -> Channel:
    """Samples times sensitivity and its correction, plus the baseline (PS3.3 §C.10.9.1.4)."""
    samples = table[:, number]
    sensitivity = definition.number("ChannelSensitivity", 1.0)
    factor = sensitivity * definition.number("ChannelSensitivityCorrectionFactor", 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        values: Values = samples.astype(np.float64) * factor + definition.number("ChannelBaseline")
    values[~np.isfinite(values)] = np.nan
    if blank is not None:
        values[samples == blank[0]] = np.nan
    unit = definition.item("ChannelSensitivityUnitsSequence").text("CodeValue")
    skew = definition.number("ChannelTimeSkew") + definition.number("ChannelSampleSkew") / frequency
    delay = skew if abs(skew) < _SKEW_LIMIT_S else 0.0
    return Channel(label=_label(definition, number), unit=unit, values=values, delay_s=delay)


def _label(definition: Attributes, number: int) -> str:
    """The label given, else the source's meaning without the words that all leads share."""
    source = definition.item("ChannelSourceSequence").text("CodeMeaning")
    source = source.removeprefix("Lead ").partition(" (")[0]
    return definition.text("ChannelLabel").strip() or source.strip() or f"Channel {number + 1}"


def _beginning(item: Attributes, fetch: Fetch, length: int) -> bytes:
    path = item.bulk_path("WaveformData")
    return fetch(path, length) if path else item.binary("WaveformData")[:length]
