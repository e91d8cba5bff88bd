"""From the change feed to forwarding orders: a study that has been quiet is finished, and is ordered where rules say.

At least once: the feed's cursor moves after the jobs are kept, and jobs have keys. A study that grows later is finished
again; an order goes on behind what it has sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bridge.archive import Archive
from bridge.forwarding import orders
from bridge.forwarding.orders import Order
from bridge.forwarding.rules import means
from bridge.settings import ForwardRule
from storage.records import Change, ResourceRef

CURSOR = "forwarding"
_PAGE = 1000
_BRINGS = frozenset({Change.STORED, Change.REPLACED})


def read_feed(archive: Archive) -> int:
    """Have every study that has changed wait until it is quiet; how many events were read."""
    rules, read = archive.settings.forward_rules, 0
    if not rules:
        return 0
    position = archive.registry.cursor(CURSOR)
    while events := archive.index.events(after=position, limit=_PAGE):
        last = {
            ResourceRef(event.ref.site, event.ref.study_instance_uid): event.at
            for event in events
            if event.change in _BRINGS
        }
        quiet = timedelta(seconds=archive.settings.forwarding.quiet_s)
        for study, at in last.items():
            archive.registry.renew_job(
                orders.FINISHING, orders.study_key(study), target="", payload="{}", at=at, due_at=at + quiet
            )
        position, read = events[-1].seq, read + len(events)
        archive.registry.move_cursor(CURSOR, position)
    return read


def order_finished(archive: Archive) -> int:
    """Order what is finished; how many orders were made or taken up again."""
    now, made = archive.now(), 0
    until = now + timedelta(seconds=archive.settings.forwarding.claim_s)
    while jobs := archive.registry.claim_jobs(orders.FINISHING, now=now, until=until, limit=_PAGE):
        for job in jobs:
            made += _order(archive, orders.study_of(job.key))
            archive.registry.settle_job(job, replace(job, state="done"))
    return made


def destinations(rules: Sequence[ForwardRule]) -> list[str]:
    """Everybody that rules send to, each once."""
    return list(dict.fromkeys(name for rule in rules for name in rule.to))


def forget_old(archive: Archive) -> int:
    """Forget jobs that are done or dead for long."""
    before = archive.now() - timedelta(days=archive.settings.forwarding.keep_days)
    names = destinations(archive.settings.forward_rules)
    every = [orders.FINISHING, *(kind for name in names for kind in orders.kinds(name))]
    return sum(archive.registry.forget_jobs(kind, before=before) for kind in every)


def _order(archive: Archive, study: ResourceRef) -> int:
    made, now = 0, archive.now()
    for rule in archive.settings.forward_rules:
        order = Order(rule=rule.name, site=study.site, study_instance_uid=study.study_instance_uid)
        for destination in rule.to:
            kind, key = orders.kind(destination, rule.priority), orders.order_key(rule.name, study)
            known = archive.registry.job(kind, key)
            after = orders.unpack(known).after if known else 0
            if _brings_anything(archive, rule, study, after):
                archive.registry.renew_job(
                    kind, key, target=destination, payload=orders.pack(order), at=now, due_at=now
                )
                made += 1
    return made


def _brings_anything(archive: Archive, rule: ForwardRule, study: ResourceRef, after: int) -> bool:
    while page := archive.index.arrivals(study, after=after, limit=_PAGE):
        if any(means(rule, arrival.record) for arrival in page):
            return True
        after = page[-1].seq
    return False
