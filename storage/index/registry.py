"""Small shared tables beside the rows: access keys, peers, callers, jobs, leases. One transaction a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A bearer key: only its hash is kept."""

    name: str
    key_hash: str  # sha256 hex of the secret
    site: str
    scopes: tuple[str, ...]  # of read, write, admin
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPeer:
    """A caller that was turned away, and how often."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    reason: str
    first_at: datetime
    last_at: datetime
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTraffic:
    """When a peer last delivered something, and how much in all."""

    ae_title: str
    address: str
    last_received_at: datetime
    instances: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDefinition:
    """A peer that the command line keeps; what it means is the bridge's business."""

    name: str
    definition: str  # JSON
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that must outlive the process that took it on. Whoever claims it owns it until `due_at`."""

    job_id: int
    kind: str
    key: str  # once per kind
    target: str  # whom it is for, as people call it
    payload: str  # JSON
    state: str  # waiting | done | dead
    attempts: int
    problem: str  # why it is not done; "" = no reason
    created_at: datetime
    due_at: datetime


class Registry(Protocol):
    """Keys, peers, jobs and leases."""

    def add_key(self, key: AccessKey) -> None:
        """Keep a key; raises ObjectExists when the name is taken by a key that is not revoked."""
        ...

    def key_by_hash(self, key_hash: str) -> AccessKey | None:
        """The key with this hash, revoked or not."""
        ...

    def access_keys(self) -> Sequence[AccessKey]:
        """All keys, oldest first."""
        ...

    def revoke_key(self, name: str, at: datetime) -> bool:
        """Revoke by name; False if there is no such live key."""
        ...

    def note_refused(self, peer: RefusedPeer) -> None:
        """Count a refusal under (calling, called, address, reason); at most 1000 rows are kept, the oldest go."""
        ...

    def refused(self) -> Sequence[RefusedPeer]:
        """Refused callers, latest first."""
        ...

    def note_received(self, traffic: PeerTraffic) -> None:
        """Add to a peer's totals and set its time; called once an association, not once an instance."""
        ...

    def traffic(self) -> Sequence[PeerTraffic]:
        """All peers that delivered, latest first."""
        ...

    def lease(self, name: str, holder: str, *, now: datetime, seconds: float) -> bool:
        """Take or extend a lease; False while another holder's has not run out."""
        ...

    def put_peer(self, peer: PeerDefinition) -> None:
        """Keep a peer in place of the one of that name."""
        ...

    def remove_peer(self, name: str) -> bool:
        """Forget a peer; False if there is none of that name."""
        ...

    def kept_peers(self) -> Sequence[PeerDefinition]:
        """All peers that are kept here, by name."""
        ...

    def add_job(self, kind: str, key: str, *, target: str, payload: str, at: datetime, due_at: datetime) -> Job | None:
        """Take on work; None when there is a job of that kind and key already. Until `due_at` it is the caller's."""
        ...

    def renew_job(self, kind: str, key: str, *, target: str, payload: str, at: datetime, due_at: datetime) -> None:
        """Take on work. What is taken on already waits anew until `due_at`: attempts forgotten, payload kept."""
        ...

    def job(self, kind: str, key: str) -> Job | None:
        """The job of that kind and key, in whatever state."""
        ...

    def claim_jobs(self, kind: str, *, now: datetime, until: datetime, limit: int) -> Sequence[Job]:
        """Waiting jobs that are due, the longest overdue first; nobody else gets them before `until`."""
        ...

    def settle_job(self, claimed: Job, became: Job) -> bool:
        """Write what became of a claimed job; False when the claim ran out and another one has it."""
        ...

    def jobs(self, kind: str, *, limit: int) -> Sequence[Job]:
        """Jobs of a kind, latest first."""
        ...

    def forget_jobs(self, kind: str, *, before: datetime) -> int:
        """Forget those that were taken on before that time and wait no more; how many they were."""
        ...

    def cursor(self, name: str) -> int:
        """The seq up to which a reader of the change feed has read; 0 for one that never did."""
        ...

    def move_cursor(self, name: str, seq: int) -> None:
        """Remember how far a reader has read."""
        ...
