"""Where a scan stands in its source, and the bytes around it that are in memory."""

from __future__ import annotations

from bridge.source import Source

WINDOW_BYTES = 1 << 16
QUICK_BYTES = 1024  # longer values are not read through the window
_HEADER_BYTES = 12  # of an element, at most


class Window:
    """`content` are the bytes of `source` from `base` on; `position` may lie outside of them until `refill`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0
        self.content, self.base = source.read(0, WINDOW_BYTES), 0

    def peek(self) -> bytes:
        """The 12 bytes from the position that an element header has at most; fewer at the end of the source."""
        at = self.position - self.base
        header = self.content[at : at + _HEADER_BYTES] if at >= 0 else b""
        return header if len(header) == _HEADER_BYTES else self.source.read(self.position, _HEADER_BYTES)

    def refill(self) -> None:
        """Move the window so that plain elements can be read from the position."""
        position, known = self.position, self.base + len(self.content)
        if position < self.base or (position + 2 * QUICK_BYTES > known and known < self.source.size):
            self.content, self.base = self.source.read(position, WINDOW_BYTES), position
