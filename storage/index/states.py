"""Studies and series as a transaction sees and changes them: counts, and whose attributes they show.

When instances disagree on an attribute, the one with the lowest (received_at, SOP Instance UID) wins, so the answer
never depends on the order of commits. Each distinct set of attributes is kept once as a *variant*, and every instance
knows its own variants; so when the winner goes, the next one's attributes are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from storage.index import values
from storage.index.database import Row, Session
from storage.index.schema import form, gram, gram_waiting, series, study, variant
from storage.index.sql import Among, at, settable, words
from storage.index.values import MODALITIES, SOP_CLASSES, Value
from storage.records import Level

_STUDY = (
    "modalities", "sop_classes", "series_count", "instance_count", "cold_count", "size_bytes",
    "winner_received_at", "winner_sop_instance_uid", "variant", "disagrees", "revision", "changed_at",
)  # fmt: skip
_COUNTED = ("instance_count", "size_bytes", "disagrees", "revision", "changed_at")  # of a series, in no index
_SERIES = (*_COUNTED, "own_metadata", "winner_received_at", "winner_sop_instance_uid", "variant")
_TAGS = {level: values.form_tags(level) for level in Level}
GRAMS_TOGETHER = 128  # studies; a search for *contains* reads those that wait
_NOBODY = (1 << 62, "")  # loses against every instance


@dataclass(slots=True)
class State:
    """What a study and a series have in common."""

    level: Level
    row: int  # its id; 0 until it is given one
    site_id: int
    attributes: dict[str, str] = field(default_factory=dict)  # canonical ones of the winner
    packed: str = ""
    instance_count: int = 0
    size_bytes: int = 0
    winner: tuple[int, str] = _NOBODY
    variant: int = 0
    disagrees: int = 0
    revision: int = 0
    changed_at: int = 0
    is_new: bool = False
    derived: bool = False  # the attribute columns must be written again
    new_variants: list[tuple[int, str]] = field(default_factory=list)
    variants: dict[str, int] | None = None  # all known ones; read only when instances disagree

    def offer(self, session: Session, received_at: int, sop_instance_uid: str, given: values.Canonical) -> int:
        """An instance brings its attributes; the number of its variant. The lowest (received_at, UID) wins."""
        attributes, text = given
        number = self.variant if text == self.packed else self._number(session, text)
        if number != self.variant and self.winner is not _NOBODY:
            self.disagrees = 1
        if (received_at, sop_instance_uid) < self.winner:
            self.winner = (received_at, sop_instance_uid)
            if text != self.packed:
                self.attributes, self.packed, self.variant, self.derived = attributes, text, number, True
        return number

    def settle(self, session: Session, first: tuple[int, str, int], used: set[int]) -> None:
        """After instances went: who is first now, and which variants are still in use."""
        received_at, sop_instance_uid, number = first
        self.winner = (received_at, sop_instance_uid)
        self.disagrees = int(len(used) > 1)
        known = session.rows(_VARIANTS, {"at_level": self.level.value, "at_owner": self.row})
        unused = [one for one, _ in known if one not in used]
        if number != self.variant:
            self.packed = next(text for one, text in known if one == number)
            self.attributes, self.variant, self.derived = orjson.loads(self.packed), number, True
        owner = {"at_level": self.level.value, "at_owner": self.row}
        session.many(_DROP_VARIANT, [{**owner, "at_number": one} for one in unused])

    def _number(self, session: Session, text: str) -> int:
        if self.variants is None:
            owner = {"at_level": self.level.value, "at_owner": self.row}
            known: list[Row] = [] if self.is_new else session.rows(_VARIANTS, owner)
            self.variants = {packed: number for number, packed in [*known, *self.new_variants]}
        number = self.variants.get(text)
        if number is None:
            number = self.variants[text] = max(self.variants.values(), default=-1) + 1
            self.new_variants.append((number, text))
        return number

    def common(self) -> dict[str, Value]:
        """The columns both have."""
        return {
            "instance_count": self.instance_count,
            "size_bytes": self.size_bytes,
            "winner_received_at": self.winner[0],
            "winner_sop_instance_uid": self.winner[1],
            "variant": self.variant,
            "disagrees": self.disagrees,
            "revision": self.revision,
            "changed_at": self.changed_at,
        }


@dataclass(slots=True)
class StudyState(State):
    """A study's row."""

    uid: str = ""
    series_count: int = 0
    cold_count: int = 0
    modalities: frozenset[str] = frozenset()
    sop_classes: frozenset[str] = frozenset()
    recount: bool = False  # a series lost a modality: ask the series again
    stored_lists: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())  # as the table of forms has them

    @classmethod
    def load(cls, session: Session, site_id: int, uids: Sequence[str]) -> dict[str, StudyState]:
        """Those of the studies that exist, by UID."""
        rows = session.rows(_STUDIES, {"at_site_id": site_id, "uids": session.listing(uids)})
        return {row[2]: cls._from(row) for row in rows}

    @classmethod
    def load_row(cls, session: Session, row: int) -> StudyState:
        """One that exists."""
        return cls._from(session.rows(_STUDY_ROW, {"at_id": row})[0])

    @classmethod
    def _from(cls, row: Row) -> StudyState:
        at_column = dict(zip(_STUDY, row[3:-1], strict=True))
        lists = (_split(at_column["modalities"]), _split(at_column["sop_classes"]))
        return cls(
            Level.STUDY,
            row[0],
            row[1],
            **_shared(at_column, row[-1]),
            uid=row[2],
            series_count=at_column["series_count"],
            cold_count=at_column["cold_count"],
            modalities=lists[0],
            sop_classes=lists[1],
            stored_lists=lists,
        )

    @property
    def changes_shape(self) -> bool:
        """Whether writing it can alter which studies a search finds."""
        return self.is_new or self.derived or self.stored_lists != (self.modalities, self.sop_classes)

    def write(self, session: Session) -> None:
        """Write the row, its variants, forms and grams."""
        state = {
            **self.common(),
            "modalities": values.joined(self.modalities),
            "sop_classes": values.joined(self.sop_classes),
            "series_count": self.series_count,
            "cold_count": self.cold_count,
        }
        columns = values.columns(self.attributes, Level.STUDY) if self.is_new or self.derived else {}
        if self.is_new:
            identity = {"id": self.row, "site_id": self.site_id, "study_instance_uid": self.uid}
            session.run(_ADD_STUDY, {**identity, **columns, **state})
        else:
            session.run(_SET_STUDY, {"at_id": self.row, **state})
            if self.derived:
                session.run(_SET_STUDY_ATTRIBUTES, {"at_id": self.row, **columns})
        _write_variants(session, self)
        if self.is_new or self.derived:
            _write_forms(session, self)
            _write_grams(session, self)
        self._write_lists(session)

    def _write_lists(self, session: Session) -> None:
        for tag, now, before in zip(
            (MODALITIES, SOP_CLASSES), (self.modalities, self.sop_classes), self.stored_lists, strict=True
        ):
            if now != before:
                one = {"site_id": self.site_id, "attribute": tag, "owner": self.row}
                session.many(
                    _DROP_FORM, [{f"at_{k}": v for k, v in one.items()} | {"at_form": text} for text in before - now]
                )
                session.many(_ADD_FORM, [{**one, "form": text} for text in now - before])


@dataclass(slots=True)
class SeriesState(State):
    """A series' row."""

    study_row: int = 0
    uid: str = ""
    own_metadata: int = 0
    stored: tuple[int, tuple[int, str]] = (0, _NOBODY)  # own_metadata and winner, as the row has them

    @classmethod
    def load(
        cls, session: Session, study_rows: Sequence[int], uids: Sequence[str]
    ) -> dict[tuple[int, str], SeriesState]:
        """Those of the series that exist, by study row and UID."""
        rows = session.rows(_SERIES_ROWS, {"rows": session.listing(study_rows), "uids": session.listing(uids)})
        return {(row[2], row[3]): cls._from(row) for row in rows}

    @classmethod
    def load_row(cls, session: Session, row: int) -> SeriesState:
        """One that exists."""
        return cls._from(session.rows(_SERIES_ROW, {"at_id": row})[0])

    @classmethod
    def _from(cls, row: Row) -> SeriesState:
        at_column = dict(zip(_SERIES, row[4:-1], strict=True))
        return cls(
            Level.SERIES,
            row[0],
            row[1],
            **_shared(at_column, row[-1]),
            study_row=row[2],
            uid=row[3],
            own_metadata=at_column["own_metadata"],
            stored=(at_column["own_metadata"], (at_column["winner_received_at"], at_column["winner_sop_instance_uid"])),
        )

    @property
    def modality(self) -> frozenset[str]:
        """The modalities it adds to its study's."""
        return frozenset(part for part in self.attributes.get("Modality", "").split("\\") if part)

    def write(self, session: Session) -> None:
        """Write the row, its variants and forms."""
        state = {**self.common(), "own_metadata": self.own_metadata}
        columns = values.columns(self.attributes, Level.SERIES) if self.is_new or self.derived else {}
        if self.is_new:
            identity: dict[str, Value] = {"id": self.row, "site_id": self.site_id, "study_row": self.study_row}
            session.run(_ADD_SERIES, {**identity, "series_instance_uid": self.uid, **columns, **state})
        else:
            only_counts = self.stored == (self.own_metadata, self.winner) and not self.derived
            session.run(_SET_SERIES_COUNTS if only_counts else _SET_SERIES, {"at_id": self.row, **state})
            if self.derived:
                session.run(_SET_SERIES_ATTRIBUTES, {"at_id": self.row, **columns})
        _write_variants(session, self)
        if self.is_new or self.derived:
            _write_forms(session, self)


def add_forms(session: Session, level: Level, site_id: int, owner: int, attributes: dict[str, str]) -> None:
    """Write the forms of a new row."""
    found = values.forms(attributes, level)
    session.many(
        _ADD_FORM, [{"site_id": site_id, "attribute": tag, "form": text, "owner": owner} for tag, text in found]
    )


def drop_forms(session: Session, level: Level, owners: Sequence[int]) -> None:
    """Remove the forms of rows of a level, the computed ones too."""
    tags = _TAGS[level] + ([MODALITIES, SOP_CLASSES] if level is Level.STUDY else [])
    session.run(_DROP_FORMS, {"owners": session.listing(owners), "tags": session.listing(tags)})


def _write_forms(session: Session, state: State) -> None:
    if not state.is_new:
        session.run(_DROP_FORMS, {"owners": session.listing([state.row]), "tags": session.listing(_TAGS[state.level])})
    add_forms(session, state.level, state.site_id, state.row, state.attributes)


def drop_grams(session: Session, study_row: int) -> None:
    """Remove a study's grams, or its place among those that wait for theirs."""
    session.run(_DROP_GRAMS, {"at_study_row": study_row})
    session.run(_DROP_WAITING, {"at_study_row": study_row})


def merge_grams(session: Session) -> None:
    """Write the grams of the studies that wait for it, once they are GRAMS_TOGETHER."""
    if session.rows(_COUNT_WAITING)[0][0] < GRAMS_TOGETHER:
        return
    found = [
        {"site_id": site_id, "gram": one, "study_row": study_row}
        for study_row, site_id, packed in session.rows(_WAITING)
        for one in values.grams(orjson.loads(packed))
    ]
    session.many(_ADD_GRAM, sorted(found, key=itemgetter("site_id", "gram", "study_row")))
    session.run(_CLEAR_WAITING)


def _write_grams(session: Session, state: StudyState) -> None:
    if not state.is_new:
        drop_grams(session, state.row)
    session.run(_ADD_WAITING, {"study_row": state.row, "site_id": state.site_id})


def _write_variants(session: Session, state: State) -> None:
    owner: dict[str, Value] = {"level": state.level.value, "owner": state.row}
    session.many(_ADD_VARIANT, [{**owner, "number": number, "attributes": text} for number, text in state.new_variants])
    state.new_variants = []


def _shared(row: dict[str, Any], packed: str) -> dict[str, Any]:
    return {
        "attributes": orjson.loads(packed),
        "packed": packed,
        "winner": (row["winner_received_at"], row["winner_sop_instance_uid"]),
        **{
            name: row[name]
            for name in ("instance_count", "size_bytes", "variant", "disagrees", "revision", "changed_at")
        },
    }


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split("\\")) if text else frozenset()


def _attribute_names(level: Level) -> tuple[str, ...]:
    return tuple(values.columns({}, level))


# Every row has its variant. The outer join only makes SQLite look at the row first: given the choice it reads the
# variants of all series, and a commit takes longer with each series in the archive.
_STUDY_ROWS = select(
    study.c.id, study.c.site_id, study.c.study_instance_uid, *(study.c[name] for name in _STUDY), variant.c.attributes
).join_from(
    study,
    variant,
    and_(variant.c.level == words("STUDY"), variant.c.owner == study.c.id, variant.c.number == study.c.variant),
    isouter=True,
)
_STUDIES = _STUDY_ROWS.where(at(study, "site_id"), Among(study.c.study_instance_uid, "uids"))
_STUDY_ROW = _STUDY_ROWS.where(at(study, "id"))
_ALL_SERIES = select(
    series.c.id,
    series.c.site_id,
    series.c.study_row,
    series.c.series_instance_uid,
    *(series.c[name] for name in _SERIES),
    variant.c.attributes,
).join_from(
    series,
    variant,
    and_(variant.c.level == words("SERIES"), variant.c.owner == series.c.id, variant.c.number == series.c.variant),
    isouter=True,
)
_SERIES_ROWS = _ALL_SERIES.where(Among(series.c.study_row, "rows"), Among(series.c.series_instance_uid, "uids"))
_SERIES_ROW = _ALL_SERIES.where(at(series, "id"))
_VARIANTS = select(variant.c.number, variant.c.attributes).where(at(variant, "level", "owner"))
_ADD_VARIANT = insert(variant)
_DROP_VARIANT = delete(variant).where(at(variant, "level", "owner", "number"))
_ADD_STUDY = insert(study)
_ADD_SERIES = insert(series).values(settable(series, *(c.name for c in series.c if not c.name.startswith("bundle_"))))
_SET_STUDY = update(study).values(settable(study, *_STUDY)).where(at(study, "id"))
_SET_SERIES_COUNTS = update(series).values(settable(series, *_COUNTED)).where(at(series, "id"))
_SET_SERIES = update(series).values(settable(series, *_SERIES)).where(at(series, "id"))
_SET_STUDY_ATTRIBUTES = update(study).values(settable(study, *_attribute_names(Level.STUDY))).where(at(study, "id"))
_SET_SERIES_ATTRIBUTES = (
    update(series).values(settable(series, *_attribute_names(Level.SERIES))).where(at(series, "id"))
)
_ADD_FORM = insert(form)
_DROP_FORM = delete(form).where(at(form, "site_id", "attribute", "form", "owner"))
_DROP_FORMS = delete(form).where(Among(form.c.owner, "owners"), Among(form.c.attribute, "tags"))
_ADD_GRAM = insert(gram)
_ADD_WAITING = insert(gram_waiting)
_COUNT_WAITING = select(func.count()).select_from(gram_waiting)
_WAITING = (
    select(gram_waiting.c.study_row, gram_waiting.c.site_id, variant.c.attributes)
    .join_from(gram_waiting, study, study.c.id == gram_waiting.c.study_row)
    .outerjoin(
        variant,
        and_(variant.c.level == words("STUDY"), variant.c.owner == study.c.id, variant.c.number == study.c.variant),
    )
)
_CLEAR_WAITING = delete(gram_waiting)
_DROP_WAITING = delete(gram_waiting).where(at(gram_waiting, "study_row"))
_DROP_GRAMS = delete(gram).where(gram.c.study_row == bindparam("at_study_row", type_=gram.c.study_row.type))
