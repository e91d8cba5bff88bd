"""What a process that serves for weeks tells its interpreter once everything is loaded: leave the past alone.

Measured on a 528 KB C-STORE: the cyclic collector, walking all loaded modules again and again, took 0.6 ms of 5.4 ms.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 50_000  # containers made since the last look before the collector looks again
PROMOTIONS = (20, 50)


def settle() -> None:
    """Exempt what is loaded now from collection, and look for cycles less often. Called once, before serving."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *PROMOTIONS)
