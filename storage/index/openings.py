"""Migration 0002: the openings of names (storage/names.py) for studies that came before fuzzy matching."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from storage.attributes import at_level
from storage.index import values
from storage.index.database import Session
from storage.index.schema import form, study
from storage.records import Level

_PAGE = 500  # studies read at a time
_NAMES = tuple(attribute for attribute in at_level(Level.STUDY) if attribute.vr == "PN")


def fill(session: Session) -> None:
    """Write the openings of every study's names; again does no harm."""
    after = -1
    while page := session.rows(_STUDIES, {"after": after}):
        for row, site_id, *texts in page:
            attributes = {name.keyword: text for name, text in zip(_NAMES, texts, strict=True) if text}
            found = [one for one in values.forms(attributes, Level.STUDY) if one[0] & values.FUZZY]
            session.many(_DROP, [{"at_owner": row, "at_attribute": values.FUZZY | name.tag} for name in _NAMES])
            session.many(
                _ADD, [{"site_id": site_id, "attribute": tag, "form": text, "owner": row} for tag, text in found]
            )
        after = page[-1][0]


_STUDIES = (
    select(study.c.id, study.c.site_id, *(study.c[name.column] for name in _NAMES))
    .where(study.c.id > bindparam("after", type_=study.c.id.type))
    .order_by(study.c.id)
    .limit(_PAGE)
)
_ADD = insert(form)
_DROP = delete(form).where(form.c.owner == bindparam("at_owner"), form.c.attribute == bindparam("at_attribute"))
