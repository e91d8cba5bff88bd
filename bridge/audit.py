"""The audit trail: one JSON line for each access and each change, on the logger `audit` (PS3.15 §A.5 in spirit).

It names who, from where, what and the outcome. It is the only log that names resources by UID; it holds no other
patient data, so it can be shipped as it is.
"""

from __future__ import annotations

import logging
from datetime import datetime

import orjson

from storage.records import Origin, ResourceRef

_LOG = logging.getLogger("audit")


def record(action: str, *, at: datetime, origin: Origin, outcome: str, ref: ResourceRef | None = None) -> None:
    """Write one line. `action` is a verb of the archive (ingest, search…), `outcome` success or an error's name."""
    if not _LOG.isEnabledFor(logging.INFO):
        return
    line: dict[str, str] = {
        "at": at.isoformat(timespec="milliseconds"),
        "action": action,
        "door": origin.door,
        "who": origin.name,
        "from": origin.address,
        "outcome": outcome,
    }
    if ref is not None:
        line["site"] = ref.site
        line["study"] = ref.study_instance_uid
        if ref.series_instance_uid:
            line["series"] = ref.series_instance_uid
        if ref.sop_instance_uid:
            line["instance"] = ref.sop_instance_uid
    _LOG.info(orjson.dumps(line).decode())
