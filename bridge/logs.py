"""Where log lines go: one line each on standard error, the audit trail in a file of its own. No patient data."""

from __future__ import annotations

import logging
import sys

from bridge import audit
from bridge.errors import ConfigError
from bridge.settings import Settings

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s[%(process)d] %(message)s"


def set_up(settings: Settings) -> None:
    """Configure logging of this process; called once, by the process's main function. Raises ConfigError."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("pynetdicom", "pydicom", "urllib3", "asyncio", "multipart"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    _set_up_audit(settings)


def _set_up_audit(settings: Settings) -> None:
    trail = logging.getLogger("audit")
    trail.setLevel(logging.INFO if settings.audit_file else logging.CRITICAL)
    if settings.audit_file not in ("", "-"):
        path = settings.storage.directory / settings.audit_file
        try:
            audit.to_file(path)
        except OSError as error:
            raise ConfigError(f"the audit file {path} cannot be written: {error.strerror}") from error
