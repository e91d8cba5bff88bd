"""Which storage classes a series may hold, for C-GET from peers that do not tell: by its modality (PS3.3 §C.7.3.1.1.1).

What is not in the table, and a series without a modality, gets every class. Tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from scp.contexts import STORAGE_CLASSES

_STORAGE = "1.2.840.10008.5.1.4.1.1."

# Secondary captures come with any modality (PS3.3 §A.8).
_ANYWHERE = ("7", "7.1", "7.2", "7.3", "7.4")

# Modality -> SOP Class UIDs below 1.2.840.10008.5.1.4.1.1 (PS3.4 Table B.5-1).
_BY_MODALITY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CR": ("1",),
        "CT": ("2", "2.1", "2.2"),
        "DX": ("1.1", "1.1.1"),
        "ECG": ("9.1.1", "9.1.2", "9.1.3"),
        "ES": ("77.1.1", "77.1.1.1"),
        "IO": ("1.3", "1.3.1"),
        "KO": ("88.59",),
        "MG": ("1.2", "1.2.1", "13.1.3"),
        "MR": ("4", "4.1", "4.2", "4.3", "4.4"),
        "NM": ("20", "5"),
        "OP": ("77.1.5.1", "77.1.5.2"),
        "OT": ("104.1",),
        "PR": ("11.1", "11.2", "11.3", "11.4", "11.5"),
        "PT": ("128", "128.1", "130"),
        "RF": ("12.2", "12.1"),
        "RTDOSE": ("481.2",),
        "RTIMAGE": ("481.1",),
        "RTPLAN": ("481.5", "481.8"),
        "RTSTRUCT": ("481.3",),
        "SEG": ("66.4", "66.5"),
        "SM": ("77.1.6", "77.1.2", "77.1.3"),
        "SR": ("88.11", "88.22", "88.33", "88.34", "88.67"),
        "US": ("6.1", "3.1", "6", "3", "6.2"),
        "XA": ("12.1", "12.1.1", "12.2"),
        "XC": ("77.1.4", "77.1.4.1"),
    }
)


def usual_classes(modality: str) -> Sequence[str]:
    """The SOP Class UIDs, the likeliest first."""
    if modality not in _BY_MODALITY:
        return tuple(STORAGE_CLASSES)
    return tuple(_STORAGE + suffix for suffix in (*_BY_MODALITY[modality], *_ANYWHERE))
