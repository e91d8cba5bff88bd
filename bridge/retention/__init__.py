"""Retention: how long an instance must be kept, as far as the instance itself can tell (LIFECYCLE §2.1).

Nearly every law starts its clock at the patient's *last* visit. At ingest only this study is known, so the term
computed here is the least the law asks; it may be extended later, never shortened. What is unknown counts as longer.
None of it is legal advice: the periods are presets with a version, chosen by `retention.policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache

from bridge.errors import ConfigError
from bridge.retention import cn, de, fr, jp, keep, uk, us
from bridge.retention.base import TOLD, Facts, Policy, facts_from, is_disposable, local_midnight, zone_named
from bridge.settings import RetentionSettings
from storage.records import InstanceRecord, Retention

# A new policy is one file and one line here.
POLICIES: dict[str, Policy] = {
    policy.name: policy for policy in (cn.POLICY, de.POLICY, fr.POLICY, jp.POLICY, keep.POLICY, uk.POLICY, us.POLICY)
}

_REMEMBERED = 1024  # different sets of facts

__all__ = ["POLICIES", "Facts", "Policy", "disposable", "policy_named", "term"]


def term(
    settings: RetentionSettings,
    peer_class: str,
    peer_timezone: str,
    attributes: Mapping[str, str],
    received_at: datetime,
) -> Retention:
    """The term of a new instance; the peer's class and time zone ("" = unknown) win over the default ones.

    Raises ConfigError.
    """
    zone_name = peer_timezone or settings.timezone
    today = received_at.astimezone(zone_named(zone_name)).date()
    told = tuple(attributes.get(keyword, "") for keyword in TOLD)
    return _term(settings.policy, peer_class or settings.default_class, zone_name, today, told)


@lru_cache(maxsize=_REMEMBERED)
def _term(policy: str, care_class: str, zone_name: str, today: date, told: tuple[str, ...]) -> Retention:
    """The instances of a study that come on one day have one term: terms begin and end with a day."""
    received_at = local_midnight(today, zone_named(zone_name))
    facts = facts_from(dict(zip(TOLD, told, strict=True)), care_class, received_at, zone_name)
    return policy_named(policy).retention(facts)


def policy_named(name: str) -> Policy:
    """The preset called `name`. Raises ConfigError."""
    try:
        return POLICIES[name]
    except KeyError:
        raise ConfigError(f"retention.policy is {name!r}; it may be {', '.join(sorted(POLICIES))}") from None


def disposable(record: InstanceRecord, now: datetime) -> bool:
    """True once the term has passed and no legal hold is on; an instance without a term is never disposable."""
    return not record.legal_hold and record.retention is not None and is_disposable(record.retention, now)
