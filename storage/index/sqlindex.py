"""The index and the registry on SQLite or PostgreSQL. Each method is one transaction; the words are in base.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from storage.errors import IngestExpired
from storage.index import cursors, dump, jobs, ledgers, reads, settle
from storage.index.base import Arrival, Bundle, Conflict, Doomed, MetadataRow, Tally
from storage.index.database import Database
from storage.index.group import Waiting, commit_group
from storage.index.registry import AccessKey, Job, PeerDefinition, PeerTraffic, RefusedPeer
from storage.index.search import Search
from storage.index.values import microseconds
from storage.index.writer import GroupWriter, Join
from storage.query import Page, Query
from storage.records import Committed, Event, InstanceRecord, Location, Origin, ResourceRef


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
        self.now = now
        self._search = Search(database)
        self._writer = GroupWriter(
            self._commit_group, database.settle, group_limit=group_limit, wait_limit_s=wait_limit_s
        )

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

    def arrivals(self, ref: ResourceRef, *, after: int, limit: int) -> Sequence[Arrival]:
        """The instances below `ref` in the order of their coming."""
        return self._database.read(lambda session: reads.arrivals(session, ref, after, limit))

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

    def swap(self, record: InstanceRecord, new: Location, origin: Origin, *, put_at: datetime) -> bool:
        """Compare-and-swap the location."""
        now = self.now()
        if (now - put_at).total_seconds() > self._commit_window_s:
            raise IngestExpired("the swap comes too long after the put; copy the object again")
        return self._database.write(lambda session: settle.swap(session, record, new, origin, now))

    def remove(self, ref: ResourceRef, origin: Origin, *, up_to: int | None = None) -> Sequence[Event]:
        """Drop the rows at and below `ref`."""
        return self._database.write(lambda session: settle.remove(session, ref, origin, self.now(), up_to))

    def conflicts(self, site: str | None = None) -> Sequence[Conflict]:
        """Unsettled conflicts, oldest first."""
        return self._database.read(lambda session: settle.conflicts(session, site))

    def promote(self, conflict_id: int, origin: Origin) -> Event | None:
        """The second takes the first one's place."""
        return self._database.write(lambda session: settle.promote(session, conflict_id, origin, self.now()))

    def dismiss(self, conflict_id: int) -> bool:
        """Drop a conflict and queue its bytes for reclaim."""
        return self._database.write(lambda session: settle.dismiss(session, conflict_id, self.now()))

    def add_bundle(self, bundle: Bundle) -> bool:
        """Attach a bundle and clear the rows' metadata."""
        return self._database.write(lambda session: settle.add_bundle(session, bundle, self.now()))

    def doomed(self, *, before: datetime, after: int = 0, limit: int) -> Sequence[Doomed]:
        """Locations queued for reclaim before that time."""
        return self._database.read(lambda session: reads.doomed_before(session, microseconds(before), after, limit))

    def reclaimed(self, doomed_ids: Sequence[int]) -> None:
        """Forget doomed locations whose bytes are gone."""
        self._database.write(lambda session: settle.reclaimed(session, doomed_ids))

    def referenced(self, store: str, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that something in the index names."""
        return self._database.read(lambda session: reads.referenced(session, store, keys), snapshot=True)

    def dump(self) -> Iterator[str]:
        """The logical content."""
        return dump.lines(self._database)

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

    def add_key(self, key: AccessKey) -> None:
        """Keep a key."""
        self._database.write(lambda session: ledgers.add_key(session, key))

    def key_by_hash(self, key_hash: str) -> AccessKey | None:
        """The key with this hash, revoked or not."""
        return self._database.read(lambda session: ledgers.key_by_hash(session, key_hash))

    def access_keys(self) -> Sequence[AccessKey]:
        """All keys, oldest first."""
        return self._database.read(ledgers.access_keys)

    def revoke_key(self, name: str, at: datetime) -> bool:
        """Revoke by name."""
        return self._database.write(lambda session: ledgers.revoke_key(session, name, at))

    def note_refused(self, peer: RefusedPeer) -> None:
        """Count a refusal."""
        self._database.write(lambda session: ledgers.note_refused(session, peer))

    def refused(self) -> Sequence[RefusedPeer]:
        """Refused callers, latest first."""
        return self._database.read(ledgers.refused)

    def note_received(self, traffic: PeerTraffic) -> None:
        """Add to a peer's totals."""
        self._database.write(lambda session: ledgers.note_received(session, traffic))

    def traffic(self) -> Sequence[PeerTraffic]:
        """All peers that delivered, latest first."""
        return self._database.read(ledgers.traffic)

    def lease(self, name: str, holder: str, *, now: datetime, seconds: float) -> bool:
        """Take or extend a lease."""
        return self._database.write(lambda session: ledgers.take_lease(session, name, holder, now, seconds))

    def put_peer(self, peer: PeerDefinition) -> None:
        """Keep a peer in place of the one of that name."""
        self._database.write(lambda session: ledgers.put_peer(session, peer))

    def remove_peer(self, name: str) -> bool:
        """Forget a peer."""
        return self._database.write(lambda session: ledgers.remove_peer(session, name))

    def kept_peers(self) -> Sequence[PeerDefinition]:
        """All peers that are kept here."""
        return self._database.read(ledgers.kept_peers)

    def add_job(self, kind: str, key: str, *, target: str, payload: str, at: datetime, due_at: datetime) -> Job | None:
        """Take on work."""
        return self._database.write(lambda session: jobs.add(session, kind, key, target, payload, at, due_at))

    def renew_job(self, kind: str, key: str, *, target: str, payload: str, at: datetime, due_at: datetime) -> None:
        """Take on work, or have it wait anew."""
        self._database.write(lambda session: jobs.renew(session, kind, key, target, payload, at, due_at))

    def job(self, kind: str, key: str) -> Job | None:
        """The job of that kind and key."""
        return self._database.read(lambda session: jobs.find(session, kind, key))

    def cursor(self, name: str) -> int:
        """How far a reader of the feed has read."""
        return self._database.read(lambda session: cursors.position(session, name))

    def move_cursor(self, name: str, seq: int) -> None:
        """Remember how far a reader has read."""
        self._database.write(lambda session: cursors.move(session, name, seq))

    def claim_jobs(self, kind: str, *, now: datetime, until: datetime, limit: int) -> Sequence[Job]:
        """Waiting jobs that are due, kept from others until that time."""
        if not self._database.read(lambda session: jobs.due(session, kind, now, 1)):
            return []  # asked every second by whoever works jobs off: no writer has to wait for that
        return self._database.write(lambda session: jobs.claim(session, kind, now, until, limit))

    def settle_job(self, claimed: Job, became: Job) -> bool:
        """Write what became of a claimed job."""
        return self._database.write(lambda session: jobs.settle(session, claimed, became))

    def jobs(self, kind: str, *, limit: int) -> Sequence[Job]:
        """Jobs of a kind, latest first."""
        return self._database.read(lambda session: jobs.latest(session, kind, limit))

    def forget_jobs(self, kind: str, *, before: datetime) -> int:
        """Forget old ones that wait no more."""
        return self._database.write(lambda session: jobs.forget(session, kind, before))

    def ping(self) -> None:
        """Raise StorageUnavailable if the index does not answer."""
        self._database.read(lambda session: reads.events(session, 0, 1))

    def close(self) -> None:
        """Finish pending commits, give back connections."""
        self._writer.close()
        self._database.close()

    def _commit_group(self, join: Join) -> None:
        self._database.commit(lambda session: commit_group(session, join, now=self.now, window_s=self._commit_window_s))
