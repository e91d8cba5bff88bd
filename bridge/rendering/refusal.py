"""Why there is no picture."""

from __future__ import annotations


class Unpaintable(Exception):
    """One sentence for the peer: why this frame cannot be rendered."""
