"""DELETE of a study, series or instance: not in PS3.18, but what every server that has it does alike (DICOM.md 1.6).

204 the first time, 410 after it, 409 while a retention term or a legal hold runs. The rows go at once, the bytes later
(bridge/delete.py).
"""

from __future__ import annotations

from bridge.delete import delete
from bridge.errors import InvalidRequest
from dicomweb.deps import Call
from dicomweb.reply import Reply

OVERRIDE = "override-retention"


def remove(call: Call) -> Reply:
    """Delete what the path names. Raises NotFound, Gone, Held, Unavailable or InvalidRequest."""
    override = call.parameter(OVERRIDE)
    if override not in (None, "true", "false"):
        raise InvalidRequest(f"{OVERRIDE} is true or false")
    delete(call.door.archive, call.ref(), call.origin, override_retention=override == "true")
    return Reply(status=204, headers=[(b"cache-control", b"no-store")])
