"""Criteria as SQL conditions, in exact agreement with `storage.query.satisfies` (PS3.4 §C.2.2.2).

A condition is a predicate on one row. Where an index can find the rows that may match, a criterion also brings
*candidates*: queries for row ids of which at least those that match are part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    false,
    not_,
    or_,
    select,
    true,
)

from storage.attributes import BY_PATH, COMPUTED, MATCHABLE_COMPUTED, IndexedAttribute
from storage.errors import InvalidQuery
from storage.index import values
from storage.index.conditions import TABLES, Candidates, Condition
from storage.index.parameters import Comparison, Parameters, successor
from storage.index.schema import IDENTITY, STUDY_LOOKUPS, form, gram, gram_waiting, key_column, study
from storage.index.sql import Among, Matches
from storage.names import fold, ways
from storage.query import (
    MULTIPLE_VALUE_VRS,
    RANGE_VRS,
    WILDCARD_VRS,
    AllOf,
    AnyOf,
    Criterion,
    DateTimeRange,
    Empty,
    Fuzzy,
    Matcher,
    Range,
    Single,
    Universal,
    Wildcard,
    significant,
    sort_key,
)
from storage.records import Level

GRAMS_TRIED = 6  # of one literal
_COMPUTED: dict[tuple[int, ...], IndexedAttribute] = {
    (COMPUTED[keyword][0],): IndexedAttribute(
        keyword, (COMPUTED[keyword][0],), COMPUTED[keyword][1], COMPUTED[keyword][2], column, ""
    )
    for keyword, column in zip(MATCHABLE_COMPUTED, ("modalities", "sop_classes"), strict=True)
}


class Matching(Parameters):
    """Turns the criteria of one search into conditions, and collects their parameters."""

    def criterion(self, criterion: Criterion) -> Condition:
        """Raises InvalidQuery for an attribute that is not indexed or a kind of matching its VR does not know."""
        attribute = BY_PATH.get(criterion.path) or _COMPUTED.get(criterion.path)
        if attribute is None:
            raise InvalidQuery("the index does not keep this attribute")
        _check(attribute.vr, criterion.matcher)
        self.shape.append(criterion.path)
        return self._condition(attribute, criterion.matcher)

    def interval(self, interval: DateTimeRange) -> Condition:
        """A date and a time read as one; a row without a usable time counts with its whole day."""
        date, time = BY_PATH.get(interval.date_path), BY_PATH.get(interval.time_path)
        if date is None or time is None or date.level is not time.level:
            raise InvalidQuery("the index does not keep this pair of attributes")
        self.shape.append((interval.date_path, interval.time_path))
        table = TABLES[date.level]
        day, clock = table.c[f"{date.column}_key"], table.c[f"{time.column}_key"]
        low_day, high_day = interval.low and interval.low[:8], interval.high and interval.high[:8]
        exact = and_(
            clock.is_not(None), day.is_not(None), *self._between(day.concat(clock), interval.low, interval.high)
        )
        whole_day = and_(clock.is_(None), day.is_not(None), *self._between(day, low_day, high_day))
        found = or_(exact, whole_day)
        if date.column == "study_date":  # both lie in this range of the order of studies
            found = and_(found, *self._between(study.c.moment, low_day, interval.high))
        return Condition(date.level, found)

    def uid(self, table: Table, column: str, uid: str) -> Condition:
        """The row with this UID, for the scope of a search."""
        self.shape.append(column)
        level = next(level for level, one in TABLES.items() if one is table)
        return self._unique(level, table.c[column], table.c[column] == self._bind(uid))

    def _condition(self, attribute: IndexedAttribute, matcher: Matcher) -> Condition:
        self.shape.append(type(matcher))
        table = TABLES[attribute.level]
        if isinstance(matcher, Universal):
            return Condition(attribute.level, true())
        if isinstance(matcher, Empty):
            return Condition(attribute.level, _is_empty(attribute, table))
        if isinstance(matcher, AnyOf):
            return self._any_of(attribute, matcher.values)
        if isinstance(matcher, AllOf):
            return self._all_of(attribute, matcher.values)
        if isinstance(matcher, Fuzzy):
            return self._fuzzy(attribute, matcher.values)
        comparison = self._comparison(attribute, matcher)
        if comparison is None:
            self.shape.append("never")
            return Condition(attribute.level, false())
        if attribute.column in IDENTITY:
            return self._unique(attribute.level, table.c[attribute.column], comparison(table.c[attribute.column]))
        if attribute.vr == "PN" or attribute.path in _COMPUTED:
            return self._by_form(attribute, matcher, comparison)
        return self._by_column(attribute, matcher, comparison)

    def _any_of(self, attribute: IndexedAttribute, wanted: Sequence[str]) -> Condition:
        """Values as OR; equal ones are looked up together."""
        wild = [one for one in wanted if attribute.vr in WILDCARD_VRS and ("*" in one or "?" in one)]
        plain = [one for one in wanted if one not in wild]
        parts = [self._condition(attribute, Wildcard(one)) for one in wild]
        if plain:
            parts.append(self._among(attribute, plain))
        return self._either(attribute, parts)

    def _either(self, attribute: IndexedAttribute, parts: Sequence[Condition]) -> Condition:
        """Any one of the conditions; their candidates together, if all have some."""
        self.shape.append(len(parts))
        if not parts:
            return Condition(attribute.level, false())
        found = Condition(attribute.level, or_(false(), *(part.predicate for part in parts)))
        if all(part.candidates for part in parts):
            table = parts[0].candidates[0].table
            queries = tuple(query for part in parts for query in part.candidates[0].queries)
            found.candidates.append(Candidates(table, queries))
        return found

    def _all_of(self, attribute: IndexedAttribute, wanted: Sequence[str]) -> Condition:
        """Values that must all be there; the candidates of any of them will do."""
        self.shape.append(len(wanted))
        parts = [self._condition(attribute, Single(one)) for one in wanted]
        found = Condition(attribute.level, and_(true(), *(part.predicate for part in parts)))
        found.candidates += [candidates for part in parts for candidates in part.candidates]
        return found

    def _fuzzy(self, attribute: IndexedAttribute, wanted: Sequence[str]) -> Condition:
        """What the values mean literally, and the names that each word of a value begins an opening of."""
        parts = [self._any_of(attribute, wanted)]
        parts += [self._by_openings(attribute, way) for one in wanted for way in ways(one)]
        return self._either(attribute, parts)

    def _by_openings(self, attribute: IndexedAttribute, words: Sequence[str]) -> Condition:
        """Longest word first: its openings are walked, the others looked up by the row."""
        self.shape.append(("openings", len(words)))
        table, tag = TABLES[attribute.level], values.FUZZY | attribute.tag
        first, *others = (self._begins(word) for word in words)
        walked = form.alias("walked")
        query = select(walked.c.owner).where(
            walked.c.site_id == self._site(),
            walked.c.attribute == self._bind(tag),
            first(walked.c.form),
            *(self._opens(walked.c.owner, tag, begins) for begins in others),
        )
        found = Condition(attribute.level, and_(*(self._opens(table.c.id, tag, one) for one in (first, *others))))
        if attribute.level is Level.STUDY:
            found.candidates.append(Candidates(table, (query,)))
        return found

    def _opens(self, owner: ColumnElement[Any], tag: int, comparison: Comparison) -> ColumnElement[bool]:
        """Whether a row has such an opening. No EXISTS: PostgreSQL would read the whole table of forms once for it."""
        held = select(form.c.owner).where(
            form.c.owner == owner, form.c.attribute == self._bind(tag), comparison(form.c.form)
        )
        return held.limit(1).scalar_subquery().is_not(None)

    def _among(self, attribute: IndexedAttribute, wanted: Sequence[str]) -> Condition:
        self.shape.append("among")
        if key_column(attribute) is not None:
            self.shape.append(len(wanted))
            parts = [self._condition(attribute, Single(one)) for one in wanted]
            return Condition(attribute.level, or_(false(), *(part.predicate for part in parts)))
        texts = [text for text in (_plain(attribute.vr, one) for one in wanted) if text and "\\" not in text]
        name = self._name(self._session.listing(texts))

        def comparison(column: ColumnElement[Any]) -> ColumnElement[bool]:
            return Among(column, name)

        table = TABLES[attribute.level]
        if attribute.column in IDENTITY:
            return self._unique(attribute.level, table.c[attribute.column], comparison(table.c[attribute.column]))
        if attribute.vr == "PN" or attribute.path in _COMPUTED:
            return self._by_form(attribute, None, comparison)
        return self._by_column(attribute, None, comparison)

    def _comparison(self, attribute: IndexedAttribute, matcher: Matcher) -> Comparison | None:
        """How one text or key is compared; None when nothing can match."""
        match matcher:
            case Single(value) if key_column(attribute) is not None:
                key = sort_key(attribute.vr, value)
                return None if key is None else lambda column: column == self._key(column, key)
            case Single(value):
                text = _plain(attribute.vr, value)
                return None if not text or "\\" in text else lambda column: column == self._bind(text)
            case Wildcard(pattern):
                return self._wildcard(fold(pattern) if attribute.vr == "PN" else pattern)
            case Range(low, high):
                return lambda column: and_(column.is_not(None), *self._between(column, low, high))
        raise InvalidQuery("no such kind of matching")

    def _wildcard(self, pattern: str) -> Comparison:
        pattern = re.sub(r"\*+", "*", values.cleaned(pattern))
        prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]

        def comparison(column: ColumnElement[Any]) -> ColumnElement[bool]:
            whole = Matches(column, self._bind(self._session.wildcard(pattern)))
            self.shape.append(bool(prefix))
            if not prefix:
                return and_(column.is_not(None), whole)
            after = successor(prefix)
            self.shape.append(bool(after))
            bounds = [column >= self._bind(prefix), *([column < self._bind(after)] if after else [])]
            return and_(*bounds, whole)

        return comparison

    def _by_form(self, attribute: IndexedAttribute, matcher: Matcher | None, comparison: Comparison) -> Condition:
        """Person names and computed lists: every form stands in the table of forms."""
        found = Condition(attribute.level, self._has_form(attribute, comparison(form.c.form)))
        if attribute.level is Level.STUDY:
            found.candidates += self._grams(attribute, matcher)
            self.shape.append(len(found.candidates))
            if not found.candidates:
                found.candidates.append(Candidates(study, (self._forms(attribute, comparison(form.c.form)),)))
        return found

    def _by_column(self, attribute: IndexedAttribute, matcher: Matcher | None, comparison: Comparison) -> Condition:
        """Others are in their column; those of several values in the table of forms too."""
        table = TABLES[attribute.level]
        key = key_column(attribute)
        column = table.c[key or attribute.column]
        several = self._has_several(attribute)
        predicate = comparison(column)
        if attribute.column == "study_date" and matcher is not None and not several:
            low, high = _days(matcher)
            predicate = and_(predicate, *self._between(study.c.moment, low, high and f"{high}~"))
        looked_up: list[Any] = [select(table.c.id).where(table.c.site_id == self._site(), predicate)]
        if several:
            if isinstance(matcher, Wildcard):
                predicate = and_(predicate, not_(Matches(column, self._bind(self._session.wildcard("*\\*")))))
            predicate = or_(predicate, self._has_form(attribute, comparison(form.c.form)))
            looked_up.append(self._forms(attribute, comparison(form.c.form)))
        found = Condition(attribute.level, predicate)
        if attribute.level is Level.STUDY:
            found.candidates += self._grams(attribute, matcher)
            self.shape.append(len(found.candidates))
            if (key or attribute.column) in STUDY_LOOKUPS and not found.candidates:
                found.candidates.append(Candidates(table, tuple(looked_up)))
        return found

    def _grams(self, attribute: IndexedAttribute, matcher: Matcher | None) -> list[Candidates]:
        """For `*contains*`: alternatives of which the search takes the one with the fewest rows."""
        if not isinstance(matcher, Wildcard) or attribute.tag not in values.GRAMMED:
            return []
        pattern = values.cleaned(fold(matcher.pattern) if attribute.vr == "PN" else matcher.pattern)
        if pattern[:2] and not set(pattern[:2]) & {"*", "?"}:
            return []  # a prefix of two and more is quicker by its own index
        literal = max(re.split(r"[*?]", pattern), key=len)
        if not literal:
            return []
        found = []
        for low, high in values.gram_ranges(attribute.tag, literal)[:GRAMS_TRIED]:
            self.shape.append(low == high)
            bounds = (
                gram.c.gram == self._bind(low)
                if low == high
                else gram.c.gram.between(self._bind(low), self._bind(high))
            )
            known = select(gram.c.study_row).where(gram.c.site_id == self._site(), bounds)
            waiting = select(gram_waiting.c.study_row).where(gram_waiting.c.site_id == self._site())
            found.append(Candidates(study, (known, waiting)))
        return found

    def _unique(self, level: Level, column: ColumnElement[Any], predicate: ColumnElement[bool]) -> Condition:
        """A UID: its row is found by an index of its own, but for SOP Class UID."""
        table = TABLES[level]
        found = Condition(level, predicate)
        if column.key != "sop_class_uid":
            found.candidates.append(
                Candidates(table, (select(table.c.id).where(table.c.site_id == self._site(), predicate),))
            )
        return found

    def _has_several(self, attribute: IndexedAttribute) -> bool:
        """Whether any row of the site has several values of the attribute."""
        site_id = self.parameters["site_id"]
        several = self._session.row(_ANY_FORM, {"site_id": site_id, "attribute": attribute.tag}) is not None
        self.shape.append(several)
        return several

    def _has_form(self, attribute: IndexedAttribute, comparison: ColumnElement[bool]) -> ColumnElement[bool]:
        owner = TABLES[attribute.level].c.id
        return exists().where(form.c.owner == owner, form.c.attribute == self._bind(attribute.tag), comparison)

    def _forms(self, attribute: IndexedAttribute, comparison: ColumnElement[bool]) -> Select[Any]:
        mine = and_(form.c.site_id == self._site(), form.c.attribute == self._bind(attribute.tag))
        return select(form.c.owner).where(mine, comparison)


def _days(matcher: Matcher) -> tuple[str | None, str | None]:
    """The first and last day that a key on StudyDate can mean, for the order of studies."""
    match matcher:
        case Single(value):
            day = sort_key("DA", value)
            return str(day), str(day)
        case Range(low, high):
            return low, high
    return None, None


def _check(vr: str, matcher: Matcher) -> None:
    if isinstance(matcher, Wildcard) and vr not in WILDCARD_VRS:
        raise InvalidQuery(f"a {vr} has no wildcard matching")
    if isinstance(matcher, Range) and vr not in RANGE_VRS:
        raise InvalidQuery(f"a {vr} has no range matching")
    if isinstance(matcher, AllOf) and vr not in MULTIPLE_VALUE_VRS:
        raise InvalidQuery(f"a {vr} has no multiple value matching")
    if isinstance(matcher, Fuzzy) and vr != "PN":
        raise InvalidQuery(f"a {vr} has no fuzzy matching")


def _plain(vr: str, value: str) -> str:
    text = values.cleaned(significant(vr, value))
    return fold(text.rstrip("^= ")) if vr == "PN" else text


def _is_empty(attribute: IndexedAttribute, table: Table) -> ColumnElement[bool]:
    if attribute.path in _COMPUTED:
        return table.c[attribute.column] == ""
    return table.c[attribute.column].is_(None)


_ANY_FORM = (
    select(form.c.owner)
    .where(form.c.site_id == bindparam("site_id"), form.c.attribute == bindparam("attribute"))
    .limit(1)
)
