"""`dicom-bridge doctor`: prove by trying, not by believing, that what the bridge stands on works (LIFECYCLE 2.6)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.addresses import is_loopback
from bridge.archive import index_url, s3_settings
from bridge.errors import ConfigError
from bridge.settings import Settings
from bridge.supervisor import check_packages
from storage.errors import StorageError
from storage.index import open_index
from storage.objects.s3 import S3Store

_CLOCK_SKEW_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `verdict` is ok, warning or wrong."""

    what: str
    verdict: str
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Try everything; never raises for something that is merely wrong."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_packages, _disk, _store, _index, _ports, _exposure)
    return [finding for check in checks for finding in check(settings)]


def free_space(directory: Path) -> int:
    """Bytes an ordinary user may still write below `directory`."""
    usage = os.statvfs(directory)
    return usage.f_bavail * usage.f_frsize


def _packages(_: Settings) -> Iterator[Finding]:
    try:
        check_packages()
    except ConfigError as error:
        yield Finding("packages", "wrong", str(error))
    else:
        yield Finding("packages", "ok", "all of one installation")


def _disk(settings: Settings) -> Iterator[Finding]:
    directory, reserve = settings.storage.directory, settings.storage.free_space_reserve_bytes
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".doctor-{os.getpid()}"
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        yield Finding("data directory", "wrong", f"{directory} cannot be written: {error.strerror}")
        return
    yield Finding("data directory", "ok", f"{directory} can be written")
    free = free_space(directory)
    enough = free > 2 * reserve
    yield Finding(
        "disk",
        "ok" if enough else "wrong" if free < reserve else "warning",
        f"{free >> 20} MiB free, {reserve >> 20} MiB kept in reserve",
    )


def _store(settings: Settings) -> Iterator[Finding]:
    if settings.storage.hot != "s3":
        yield Finding("object store", "ok", f"{settings.storage.hot}: below the data directory")
        return
    store = S3Store(s3_settings(settings))
    try:
        probe = store.probe()
    except StorageError as error:
        yield Finding("object store", "wrong", str(error))
        return
    finally:
        store.close()
    for name, works, text in probe.findings():
        yield Finding(f"object store: {name}", works, text)


def _index(settings: Settings) -> Iterator[Finding]:
    try:
        index = open_index(index_url(settings), password=settings.index.password)
    except StorageError as error:
        yield Finding("index", "wrong", str(error))
        return
    try:
        tally = index.tally()
        yield Finding("index", "ok", f"{tally.instances} instances in {tally.studies} studies")
        if tally.conflicts:
            yield Finding("conflicts", "warning", f"{tally.conflicts} wait for a decision: dicom-bridge conflicts list")
    finally:
        index.close()


def _ports(settings: Settings) -> Iterator[Finding]:
    for what, host, port in (
        ("DIMSE port", settings.dimse.host, settings.dimse.port if settings.tls.plain else 0),
        ("DIMSE port with TLS", settings.dimse.host, settings.tls.port),
        ("HTTP port", settings.http.host, settings.http.port),
    ):
        if not port:
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                yield Finding(
                    what, "warning", f"{host}:{port} is taken ({error.strerror}); fine if this bridge is running"
                )
            else:
                yield Finding(what, "ok", f"{host}:{port} is free")


def _exposure(settings: Settings) -> Iterator[Finding]:
    if is_loopback(settings.dimse.host) and is_loopback(settings.http.host):
        yield Finding("exposure", "ok", "only this machine can reach the doors")
        return
    if not settings.http.tls_certificate and not is_loopback(settings.http.host):
        yield Finding("exposure", "warning", "HTTP is open beyond this machine without TLS: put a TLS proxy in front")
    if settings.dimse.allow_any_peer and not is_loopback(settings.dimse.host):
        yield Finding("exposure", "warning", "any application entity may store: dimse.allow_any_peer is on")
