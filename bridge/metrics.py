"""Prometheus metrics of every process (names in docs/operations.md).

With several processes the supervisor sets PROMETHEUS_MULTIPROC_DIR, and whichever process answers `/metrics` adds all
of them up. No label ever holds patient data or a UID.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from storage.index.base import Tally

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

INGESTED = Counter("bridge_ingested_instances", "Instances that came in, by door and outcome", ["door", "outcome"])
INGESTED_BYTES = Counter("bridge_ingested_bytes", "Bytes of instances stored, by door", ["door"])
INGEST_SECONDS = Histogram("bridge_ingest_seconds", "From the last byte received to the commit", buckets=_SECONDS)
REFUSED = Counter("bridge_refused", "Refusals, by door and kind of error", ["door", "error"])
DIVERTED = Counter("bridge_diverted_instances", "Instances that went to landing because the store was away")
RELOCATED = Counter("bridge_relocated_instances", "Instances moved between stores")
FORWARDED = Counter(
    "bridge_forwarded_instances", "Instances sent on, by destination and outcome", ["destination", "outcome"]
)
RECLAIMED = Counter("bridge_reclaimed_objects", "Objects whose bytes were deleted", ["reason"])
ASSOCIATIONS = Counter("bridge_associations", "Associations, by outcome", ["outcome"])
ASSOCIATIONS_OPEN = Gauge("bridge_associations_open", "Associations open now", multiprocess_mode="livesum")
SENT = Counter(
    "bridge_sent_instances", "Instances sent by C-GET and C-MOVE, by service and outcome", ["service", "outcome"]
)
COMMITMENTS = Counter("bridge_commitments", "Requests of storage commitment that ended, by outcome", ["outcome"])
HTTP_REQUESTS = Counter("bridge_http_requests", "HTTP answers, by route and status", ["route", "status"])
HTTP_SECONDS = Histogram("bridge_http_seconds", "From request to the first byte, by route", ["route"], buckets=_SECONDS)
HTTP_BYTES = Counter("bridge_http_sent_bytes", "Bytes of HTTP bodies sent")


def exposition(tally: Tally) -> bytes:
    """The text for `/metrics`: all processes' counters, and the archive's size as gauges taken now."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's constructor is not annotated
        counters = generate_latest(registry)
    else:
        counters = generate_latest()
    return counters + generate_latest(_archive_gauges(tally))


def _archive_gauges(tally: Tally) -> CollectorRegistry:
    registry = CollectorRegistry()
    for name, text, value in (
        ("bridge_studies", "Studies in the archive", tally.studies),
        ("bridge_series", "Series in the archive", tally.series),
        ("bridge_instances", "Instances in the archive", tally.instances),
        ("bridge_stored_bytes", "Bytes of all instances", tally.size_bytes),
        ("bridge_conflicts", "Unsettled conflicts", tally.conflicts),
        ("bridge_reclaim_queue", "Locations waiting for reclaim", tally.waiting_for_reclaim),
    ):
        Gauge(name, text, registry=registry).set(value)
    by_store = Gauge("bridge_store_instances", "Instances by store", ["store"], registry=registry)
    for store, instances in tally.by_store.items():
        by_store.labels(store).set(instances)
    return registry
