"""How a caller wants something rendered (PS3.18 §8.3.5), understood and checked by a door."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.rendering.geometry import Viewport
from bridge.rendering.profiles import NO
from bridge.rendering.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The rendering query parameters; None and empty mean that nothing was asked."""

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int | None = None  # 1 to 100
    annotation: frozenset[str] = frozenset()  # words of bridge.render.wording
    icc_profile: str = NO  # one of bridge.rendering.profiles.CHOICES
    texts: bool = True  # False: leave out what somebody wrote on the picture, it may name the patient
    base: str = ""  # URL of the service root, for the links of a report
    motion: bool = True  # False: one still of a multi-frame image, also as GIF
