"""One pass over a data set: DICOM JSON out, pixel data and bulk values located (PS3.5 §7, Annex A; PS3.18 Annex F).

`Scanner.run` (scanner.py) reads the header through a window of bytes (window.py) and skips long values by their length.
What it writes goes through values.py; sequences and items are opened and closed in items.py, and nesting is kept on a
list (levels.py), not on the interpreter's stack. Lenient where the meaning is plain (odd lengths, unknown VRs, stray
delimiters, zeros after the end); InvalidInstance where a length leads outside its container or the data set ends early.
"""

from __future__ import annotations

from bridge.scan.levels import Level, PixelValue
from bridge.scan.scanner import Scanner
from bridge.scan.warnings import DEPTH_WARNING, GUESS_WARNING, LIMIT_WARNING, STRAY_WARNING, TRAILING_WARNING
from bridge.scan.window import WINDOW_BYTES

__all__ = [
    "DEPTH_WARNING",
    "GUESS_WARNING",
    "LIMIT_WARNING",
    "STRAY_WARNING",
    "TRAILING_WARNING",
    "WINDOW_BYTES",
    "Level",
    "PixelValue",
    "Scanner",
]
