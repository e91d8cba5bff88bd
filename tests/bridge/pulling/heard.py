"""What a fetch tells, written down."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heard:
    """Arrivals."""

    here: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    def arrived(self, count: int = 1) -> None:
        """See Arrivals."""
        self.here += count

    def refused(self, sop_instance_uid: str, reason: str) -> None:
        """See Arrivals."""
        self.reasons[sop_instance_uid] = reason
