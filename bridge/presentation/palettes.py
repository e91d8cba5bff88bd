"""The palette of a pseudo-colour state: grey levels -> RGB (PS3.3 §C.7.9, PS3.4 §N.2.3). Pure."""

from __future__ import annotations

import base64

import numpy as np

from bridge.attributes import Attributes
from bridge.presentation.grey import Fetch

PSEUDO_COLOUR_CLASS = "1.2.840.10008.5.1.4.1.1.11.3"


def palette_of(state: Attributes, fetch: Fetch) -> str:
    """RGB of the 256 grey levels in base64; "" for other states and for a palette that cannot be used."""
    if state.text("SOPClassUID") != PSEUDO_COLOUR_CLASS:
        return ""
    channels = [_channel(state, name, fetch) for name in ("Red", "Green", "Blue")]
    if not all(map(len, channels)):
        return ""
    return base64.b64encode(np.stack(channels, axis=1).tobytes()).decode("ascii")


def _channel(state: Attributes, name: str, fetch: Fetch) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """256 entries of 8 bits spread over the table's; empty when there is no plain table."""
    described = state.numbers(f"{name}PaletteColorLookupTableDescriptor")
    data = state.binary(f"{name}PaletteColorLookupTableData", fetch)
    count = (int(described[0]) & 0xFFFF or 65536) if len(described) == 3 else 0
    wide = count > 0 and len(data) >= 2 * count
    entries = np.frombuffer(data, "<u2" if wide else np.uint8, len(data) // (2 if wide else 1))[:count]
    if not 0 < count <= entries.size:
        return np.zeros(0, np.uint8)
    places = np.rint(np.linspace(0, count - 1, 256)).astype(np.intp)
    deep = wide and described[2] > 8
    return (entries[places] >> (8 if deep else 0)).astype(np.uint8)
