"""The index and the registry on SQLite or PostgreSQL. Each method is one transaction; the words are in base.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from storage.index import reads
from storage.index.base import Bundle, MetadataRow, Tally
from storage.index.database import Database
from storage.index.group import Waiting, commit_group
from storage.index.search import Search
from storage.index.values import microseconds
from storage.index.writer import GroupWriter
from storage.query import Page, Query
from storage.records import Committed, Event, InstanceRecord, Origin, ResourceRef


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlIndex:
    """Index and Registry."""

    def __init__(
        self,
        database: Database,
        *,
        group_limit: int,
        wait_limit_s: float,
        commit_window_s: float,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._database = database
        self._commit_window_s = commit_window_s
        self._now = now
        self._search = Search(database)
        self._writer = GroupWriter(self._write_group, group_limit=group_limit, wait_limit_s=wait_limit_s)

    def commit(self, record: InstanceRecord, origin: Origin, *, put_at: datetime, duplicates: str) -> Committed:
        """THE commit point."""
        return self._writer.commit(Waiting(record, origin, put_at, duplicates))

    def instance(self, ref: ResourceRef) -> InstanceRecord | None:
        """The instance at exactly this study, series and SOP Instance UID."""
        found = self.instance_by_sop(ref.site, ref.sop_instance_uid or "")
        return found if found is not None and found.ref == ref else None

    def instance_by_sop(self, site: str, sop_instance_uid: str) -> InstanceRecord | None:
        """The instance with this SOP Instance UID, whatever its study."""
        return self._database.read(lambda session: reads.instance_by_sop(session, site, sop_instance_uid))

    def instances(self, ref: ResourceRef, *, after: str = "", limit: int = 1000) -> Sequence[InstanceRecord]:
        """The instances below `ref` in SOP Instance UID order."""
        return self._database.read(lambda session: reads.instances(session, ref, after, limit))

    def metadata(self, ref: ResourceRef) -> Sequence[MetadataRow]:
        """The metadata of all instances below `ref`."""
        return self._database.read(lambda session: reads.metadata(session, ref))

    def revision(self, ref: ResourceRef) -> int | None:
        """The seq of the last change at or below `ref`."""
        return self._database.read(lambda session: reads.revision(session, ref))

    def was_removed(self, ref: ResourceRef) -> bool:
        """True when the resource existed and was deleted."""
        return self._database.read(lambda session: reads.was_removed(session, ref), snapshot=True)

    def search(self, query: Query) -> Page:
        """One page of results."""
        return self._search.page(query)

    def events(self, *, after: int, limit: int) -> Sequence[Event]:
        """The change feed."""
        return self._database.read(lambda session: reads.events(session, after, limit))

    def at_store(self, store: str, *, limit: int) -> Sequence[InstanceRecord]:
        """Instances whose bytes are in `store`, oldest first."""
        return self._database.read(lambda session: reads.at_store(session, store, limit))

    def size_at(self, store: str) -> int:
        """Bytes of all instances and conflicts in `store`."""
        return self._database.read(lambda session: reads.size_at(session, store))

    def quiet_series(self, *, before: datetime, limit: int) -> Sequence[tuple[ResourceRef, int]]:
        """Series with metadata in rows and no change since `before`."""
        return self._database.read(lambda session: reads.quiet_series(session, microseconds(before), limit))

    def bundle(self, ref: ResourceRef) -> Bundle | None:
        """The series' bundle."""
        return self._database.read(lambda session: reads.bundle(session, ref))

    def tally(self, site: str | None = None) -> Tally:
        """Counts over one site or all."""
        return self._database.read(lambda session: reads.tally(session, site), snapshot=True)

    def ping(self) -> None:
        """Raise StorageUnavailable if the index does not answer."""
        self._database.read(lambda session: reads.events(session, 0, 1))

    def close(self) -> None:
        """Finish pending commits, give back connections."""
        self._writer.close()
        self._database.close()

    def _write_group(self, group: Sequence[Waiting]) -> None:
        now = self._now()
        self._database.write(lambda session: commit_group(session, group, now=now, window_s=self._commit_window_s))
