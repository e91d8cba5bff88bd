"""`dicom-bridge doctor`: prove by trying, not by believing, that what the bridge stands on works (LIFECYCLE 2.6)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bridge import reach, service_user
from bridge.addresses import is_loopback
from bridge.archive import index_url, s3_settings
from bridge.errors import ConfigError
from bridge.service_user import User
from bridge.settings import Settings
from bridge.supervisor import check_packages
from storage.errors import StorageError
from storage.index import open_index
from storage.objects.s3 import S3Store

_FILES_LIMIT = 100_000  # looked at, of an archive that may have millions
_PROBLEMS_LIMIT, _PROBLEMS_SHOWN = 1000, 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. `verdict` is ok, warning or wrong."""

    what: str
    verdict: str
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Try everything; never raises for something that is merely wrong."""
    try:
        user = service_user.service_user(settings)
    except ConfigError as error:
        return [Finding("service user", "wrong", str(error))]
    is_root = os.geteuid() == 0
    with service_user.acting_as(
        user if is_root else None
    ):  # what the doors will meet, and nothing of root's left behind
        findings = [*_packages(settings), *_disk(settings, made_by_root=is_root)]
        findings += [*_files(settings, user, is_root=is_root), *_store(settings), *_index(settings)]
    return [*findings, *_ports(settings), *_exposure(settings)]


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


def _disk(settings: Settings, *, made_by_root: bool) -> Iterator[Finding]:
    directory, reserve = settings.storage.directory.absolute(), settings.storage.free_space_reserve_bytes
    if not directory.exists():
        above = next(one for one in directory.parents if one.exists())
        if made_by_root or os.access(above, os.W_OK | os.X_OK, effective_ids=True):
            yield Finding("data directory", "ok", f"{directory} is not there yet; `dicom-bridge serve` makes it")
        else:
            yield Finding("data directory", "wrong", f"{directory} is not there and cannot be made in {above}")
        return
    try:
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


def _files(settings: Settings, user: User | None, *, is_root: bool) -> Iterator[Finding]:
    """Whether the service user reaches all files: one that root made by other means is in the doors' way."""
    directory = settings.storage.directory.absolute()
    if not directory.exists():
        return
    if user is not None and not is_root:
        yield Finding("files", "warning", f"only root can see whether {user} may write them: run this as root")
        return
    owner = user or service_user.own()
    found = list(islice(reach.unwritable(settings, limit=_FILES_LIMIT), _PROBLEMS_LIMIT))
    if not found:
        yield Finding("files", "ok", f"the user {owner} may read and write all of them")
        return
    more = " and more" if len(found) == _PROBLEMS_LIMIT else ""
    names = ", ".join(str(path) for path in found[:_PROBLEMS_SHOWN])
    others = len(found) - _PROBLEMS_SHOWN
    rest = f" and {others}{more} others" if others > 0 else ""
    yield Finding("files", "wrong", f"{reach.remedy(settings, owner, found[0])} (out of reach: {names}{rest})")


def _store(settings: Settings) -> Iterator[Finding]:
    if settings.storage.hot != "s3":
        yield Finding("object store", "ok", f"{settings.storage.hot}: below the data directory")
        return
    where = f"bucket {settings.storage.s3_bucket} at {settings.storage.s3_endpoint}"
    try:
        store = S3Store(s3_settings(settings))
    except ConfigError as error:
        yield Finding("object store", "wrong", str(error))
        return
    try:
        probe = store.probe()
    except StorageError as error:
        look_at = "storage.s3_endpoint, s3_tls, s3_bucket, s3_access_key and s3_secret_key"
        yield Finding("object store", "wrong", f"{where}: {error}; look at {look_at}")
        return
    finally:
        store.close()
    yield Finding("object store", "ok", f"{where} answers")
    for name, works, text in probe.findings():
        yield Finding(f"object store: {name}", works, text)


def _index(settings: Settings) -> Iterator[Finding]:
    if settings.index.url == "sqlite" and not (settings.storage.directory / "index.sqlite").exists():
        yield Finding("index", "ok", "there is none yet; `dicom-bridge serve` or `dicom-bridge migrate` makes it")
        return
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
                yield _port_problem(what, f"{host}:{port}", error)
            else:
                yield Finding(what, "ok", f"{host}:{port} is free")


def _port_problem(what: str, where: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return Finding(what, "warning", f"{where} is taken; fine if this bridge is running")
    if error.errno == errno.EACCES:
        way_out = "start as root with supervisor.user, or with CAP_NET_BIND_SERVICE"
        return Finding(what, "wrong", f"{where} is not for ordinary users: {way_out}")
    return Finding(what, "wrong", f"cannot listen on {where}: {error.strerror}")


def _exposure(settings: Settings) -> Iterator[Finding]:
    if is_loopback(settings.dimse.host) and is_loopback(settings.http.host):
        yield Finding("exposure", "ok", "only this machine can reach the doors")
        return
    no_tls = not settings.http.tls_certificate and not is_loopback(settings.http.host)
    any_peer = settings.dimse.allow_any_peer and not is_loopback(settings.dimse.host)
    if no_tls:
        yield Finding("exposure", "warning", "HTTP is open beyond this machine without TLS: put a TLS proxy in front")
    if any_peer:
        yield Finding("exposure", "warning", "any application entity may store: dimse.allow_any_peer is on")
    if not no_tls and not any_peer:
        yield Finding("exposure", "ok", "beyond this machine only TLS is spoken over HTTP, and only with known peers")
