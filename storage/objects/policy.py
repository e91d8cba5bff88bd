"""`ObjectPolicy` for a backend that reads what an object carries, and writes it back changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from storage.objects.base import ObjectMeta
from storage.objects.meta import check_tags, extended


class Rewriting(ABC):
    """The verbs; how the change is made is the backend's."""

    def set_tags(self, key: str, tags: Mapping[str, str], *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        check_tags(tags)
        self._change(key, lambda meta: replace(meta, tags=dict(tags)))

    def extend_retention(self, key: str, until: datetime, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._change(key, lambda meta: extended(meta, until))

    def set_legal_hold(self, key: str, held: bool, *, version_id: str | None = None) -> None:
        """See ObjectPolicy."""
        self._change(key, lambda meta: replace(meta, legal_hold=held))

    @abstractmethod
    def _change(self, key: str, change: Callable[[ObjectMeta], ObjectMeta]) -> None:
        """Replace what the object carries, one change at a time; ObjectNotFound if there is none."""
