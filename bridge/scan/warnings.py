"""What a scan may have to say about a data set that it could read: the keys of `Scanner.warnings`."""

from __future__ import annotations

DEPTH_WARNING = "depth limit reached"
LIMIT_WARNING = "metadata limit reached"
TRAILING_WARNING = "trailing bytes"
STRAY_WARNING = "stray delimiter"
GUESS_WARNING = "character set guessed"
