"""Our certificate, and whom we trust: TLS contexts made from files, made anew when the files change (DICOM.md D16)."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from bridge.errors import ConfigError
from bridge.settings import Tls
from scp.tls import CIPHERS, VERSIONS

_LOG = logging.getLogger(__name__)
_MODES = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_Signature = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """The contexts of one process. `look` is called now and then; a connection keeps what it began with."""

    def __init__(self, settings: Tls) -> None:
        """Raises ConfigError when a file cannot be used."""
        self._settings = settings
        self._seen = _signature(settings)
        self.server = server_context(settings) if settings.port else None

    def look(self) -> None:
        """Take over changed files; wrong ones change nothing, and are one line in the log."""
        seen = _signature(self._settings)
        if self.server is None or seen == self._seen or None in seen:
            return
        self._seen = seen
        try:
            self.server = server_context(self._settings)
        except ConfigError as error:
            _LOG.error("the certificate stays as it was: %s", error)
        else:
            _LOG.info("the certificate of the TLS port has been read anew")


def server_context(settings: Tls) -> ssl.SSLContext:
    """For callers. Raises ConfigError."""
    if not settings.certificate or not settings.key:
        raise ConfigError("tls.port needs tls.certificate and tls.key")
    if settings.client_certificates != "none" and not settings.authorities:
        raise ConfigError(
            "tls.authorities is empty: it names the file of those who vouch for callers; "
            'or set tls.client_certificates = "none"'
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _apply_profile(context, settings)
    context.verify_mode = _MODES[settings.client_certificates]
    if context.verify_mode is not ssl.CERT_NONE:
        _trust(context, settings)
    return context


def client_context(settings: Tls) -> ssl.SSLContext:
    """For peers that we call: they must show a certificate in the name that we call. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _apply_profile(context, settings)
    if settings.authorities:
        _trust(context, settings)
    else:
        context.load_default_certs()
    return context


def _apply_profile(context: ssl.SSLContext, settings: Tls) -> None:
    context.minimum_version = VERSIONS[settings.minimum_version]
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.certificate:
        try:
            context.load_cert_chain(settings.certificate, settings.key or None)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"tls.certificate and tls.key cannot be used: {_said(error)}") from error


def _trust(context: ssl.SSLContext, settings: Tls) -> None:
    try:
        context.load_verify_locations(settings.authorities)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"tls.authorities {settings.authorities} cannot be used: {_said(error)}") from error
    if settings.revoked:
        try:
            context.load_verify_locations(settings.revoked)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"tls.revoked {settings.revoked} cannot be used: {_said(error)}") from error
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _said(error: OSError) -> str:
    return getattr(error, "reason", "") or error.strerror or str(error)


def _signature(settings: Tls) -> _Signature:
    """Changes with the files; None where one is just being replaced."""
    found: list[tuple[int, int, int] | None] = []
    for name in (settings.certificate, settings.key, settings.authorities, settings.revoked):
        if name:
            try:
                status = Path(name).stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
