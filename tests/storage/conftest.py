"""The stores that every promise of the protocol is tried on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from storage.objects.base import ObjectStore
from storage.objects.guarded import GuardedStore
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.s3 import S3Settings, S3Store
from tests.servers.object_stores import S3Server

PART_BYTES = 5 << 20


def open_s3(server: S3Server, **changed: object) -> S3Store:
    """A store over a bucket of its own, made with versioning and object lock."""
    values: dict[str, object] = {
        "endpoint": server.endpoint,
        "bucket": server.new_bucket_name(),
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "tls": False,
        "part_bytes": PART_BYTES,
        "connections": 8,
        **changed,
    }
    return S3Store(S3Settings(**values))  # type: ignore[arg-type]  # the tests change any of them


def refuse_attributes(*_: object, **__: object) -> NoReturn:
    """What a file system without extended attributes answers."""
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


@pytest.fixture(
    params=[
        "memory",
        "local",
        "local without attributes",
        "guarded",
        pytest.param("minio", marks=pytest.mark.server),
        pytest.param("versitygw", marks=pytest.mark.server),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store, closed at the end."""
    opened = _open(request, tmp_path)
    yield opened
    opened.close()


def _open(request: pytest.FixtureRequest, folder: Path) -> ObjectStore:
    match request.param:
        case "memory":
            return MemoryStore()
        case "local":
            return LocalStore(folder)
        case "local without attributes":
            patch = request.getfixturevalue("monkeypatch")
            for name in ("setxattr", "getxattr"):
                patch.setattr(os, name, refuse_attributes)
            return LocalStore(folder)
        case "guarded":
            return GuardedStore(MemoryStore(), put_deadline_s=30, breaker_probe_s=30)
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    made = open_s3(server)
    made.ensure_bucket()
    return made


@pytest.fixture
def soon() -> datetime:
    """In whole seconds, as S3 keeps lock dates."""
    return datetime.now(UTC).replace(microsecond=0)
