"""The audit trail: one JSON line for each access and each change, on the logger `audit` (PS3.15 §A.5 in spirit).

It names who, from where, what and the outcome. It is the only log that names resources by UID; it holds no other
patient data, so it can be shipped as it is.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

import orjson

from bridge.folders import make_directory
from storage.records import Origin, ResourceRef

_LOG = logging.getLogger("audit")
_MODE = 0o640
_file: int | None = None  # the trail's own file, when it has one


def to_file(path: Path) -> None:
    """Write the trail to this file from now on: appended, one write a line, from any number of processes."""
    global _file
    make_directory(path.parent)
    before, _file = _file, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    if before is not None:
        os.close(before)


def record(action: str, *, at: datetime, origin: Origin, outcome: str, ref: ResourceRef | None = None) -> None:
    """Write one line. `action` is a verb of the archive (ingest, search…), `outcome` success or an error's name."""
    if _file is None and not _LOG.isEnabledFor(logging.INFO):
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
    _write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _write(line: bytes) -> None:
    """A full disk must not undo what has been committed: the line goes to the log instead, and the log says why."""
    if _file is not None:
        try:
            os.write(_file, line)
        except OSError as error:
            logging.getLogger(__name__).error("the audit file cannot be written: %s", error.strerror)
        else:
            return
    _LOG.info(line.decode().rstrip())
