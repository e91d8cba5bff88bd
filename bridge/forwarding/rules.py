"""Which instances a forwarding rule means, and when its destinations may be sent to. Pure.

A condition that a rule does not name is met by everything. Texts are compared without case; `*` and `?` are wildcards,
as in searches (PS3.4 §C.2.2.2.4).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from urllib.parse import urlsplit

from bridge.errors import ConfigError
from bridge.settings import ForwardRule, Peer, WebDestination
from storage.records import InstanceRecord

PRIORITIES = ("high", "normal", "low")  # in the order of sending
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day, local time; it may go past midnight."""

    begin: time
    end: time

    def holds(self, at: datetime) -> bool:
        """Whether the part has begun and not ended."""
        now = at.time()
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def next_begin(self, at: datetime) -> datetime:
        """When it begins next; `at` itself while it holds."""
        if self.holds(at):
            return at
        begin = at.replace(hour=self.begin.hour, minute=self.begin.minute, second=0, microsecond=0)
        return begin if begin > at else begin + timedelta(days=1)


def hours_of(rule: ForwardRule) -> Hours | None:
    """The hours in which the rule may send; None = always. Raises ConfigError."""
    if not rule.hours:
        return None
    found = _HOURS.fullmatch(rule.hours)
    try:
        if found is None:
            raise ValueError
        first, second, third, fourth = map(int, found.groups())
        return Hours(time(first, second), time(third, fourth))
    except ValueError:
        raise ConfigError(f"the rule {rule.name!r} has the hours {rule.hours!r}; like 22:00-06:00 is meant") from None


def means(rule: ForwardRule, record: InstanceRecord) -> bool:
    """Whether the rule sends this instance."""
    attributes = record.attributes
    return (
        _among(record.ref.site, rule.sites)
        and _among(record.origin_name, rule.peers)
        and _among(attributes.get("Modality", ""), rule.modalities)
        and _among(attributes.get("BodyPartExamined", ""), rule.body_parts)
        and _described(attributes.get("StudyDescription", ""), attributes.get("SeriesDescription", ""), rule)
    )


def targets(peers: Sequence[Peer], web: Sequence[WebDestination]) -> list[str]:
    """Everybody that a rule may name. Raises ConfigError for a URL that is none."""
    for destination in web:
        if urlsplit(destination.url).scheme not in ("http", "https") or not urlsplit(destination.url).hostname:
            raise ConfigError(
                f"the web destination {destination.name!r} has the url {destination.url!r}, not http(s)://"
            )
    return [*(peer.name for peer in peers if peer.port), *(destination.name for destination in web)]


def check(rules: Sequence[ForwardRule], destinations: Sequence[str]) -> None:
    """Raise ConfigError for a rule that cannot work."""
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise ConfigError("two [[forward_rules]] have the same name")
    for rule in rules:
        hours_of(rule)
        if rule.priority not in PRIORITIES:
            raise ConfigError(f"the rule {rule.name!r} has the priority {rule.priority!r}; {', '.join(PRIORITIES)}")
        for name in rule.to:
            if name not in destinations:
                raise ConfigError(
                    f"the rule {rule.name!r} sends to {name!r}; no peer with a port, and no web destination, is that"
                )
        if not rule.to:
            raise ConfigError(f"the rule {rule.name!r} sends nowhere; name peers or destinations in `to`")


def _among(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value.casefold() in (word.casefold() for word in wanted)


def _described(study: str, series: str, rule: ForwardRule) -> bool:
    if not rule.description:
        return True
    pattern = rule.description.casefold().replace("[", "[[]")  # no sets of characters: only * and ?
    return any(fnmatch.fnmatchcase(text.casefold(), pattern) for text in (study, series))
