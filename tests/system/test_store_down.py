"""The object store killed or hung in mid-push: no failure at the sender, all found at once, delivered later."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.objects.s3 import S3Settings, S3Store
from tests.servers import object_stores
from tests.servers.object_stores import S3Server
from tests.servers.process import ServerProcess, wait_until
from tests.system.objects import many
from tests.system.running import RunningBridge, on_s3, running_bridge
from tests.system.sender import STATUS_SUCCESS, Sender
from tests.system.test_kill import check_everything

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
AWAY_S = float(os.environ.get("STORE_AWAY_S", "15"))  # `make soak` takes a minute


@pytest.fixture
def store() -> Iterator[S3Server]:
    """A MinIO of this test's own, to be hurt."""
    with object_stores.minio() as server:
        yield server


def objects_in(server: S3Server, bucket: str) -> int:
    client = S3Store(
        S3Settings(
            endpoint=server.endpoint,
            bucket=bucket,
            access_key=server.access_key,
            secret_key=server.secret_key,
            tls=False,
        )
    )
    try:
        return sum(1 for info in client.list() if info.key.endswith(".dcm"))
    finally:
        client.close()


def push_while_away(
    bridge: RunningBridge,
    store: S3Server,
    tmp_path: Path,
    bucket: str,
    *,
    goes: Callable[[], None],
    comes_back: Callable[[], None],
) -> None:
    """Push, let the store go in the middle, and look before and after it comes back."""
    paths = many(tmp_path / "sent", 300)
    files = {f"1.2.826.0.1.3680043.10.9.{(n - 1) // 50}.1.{n}": path for n, path in enumerate(paths, start=1)}
    with Sender(bridge.dimse_port, paths) as sender:
        wait_until(lambda: len(sender.acknowledged) > 20, what="the push having begun")
        goes()
        away_until = time.monotonic() + AWAY_S
        sender.wait(300)
        assert set(sender.statuses) == {STATUS_SUCCESS}
        check_found(bridge, 300)
        time.sleep(max(0.0, away_until - time.monotonic()))
        comes_back()
    wait_until(lambda: landed(bridge) == 0, timeout_s=120, what="landing being empty")
    check_everything(bridge, sender, files)
    assert objects_in(store, bucket) >= 300


def check_found(bridge: RunningBridge, count: int) -> None:
    """Landed instances are found while the store is away."""
    assert len(bridge.json("/instances?limit=5000")) == count


def landed(bridge: RunningBridge) -> int:
    lines = [line for line in bridge.cli("stats").stdout.splitlines() if "landing@" in line]
    return sum(int(line.split(":")[1].split()[0]) for line in lines)


def test_a_hung_store_fails_no_sender_and_everything_is_delivered_after(tmp_path: Path, store: S3Server) -> None:
    bucket = store.new_bucket_name()
    section = on_s3(store, bucket=bucket, put_deadline_s=2.0, s3_read_timeout_s=5.0)
    with running_bridge(tmp_path, storage=section) as bridge:
        push_while_away(
            bridge,
            store,
            tmp_path,
            bucket,
            goes=lambda: os.kill(store.process.pid, signal.SIGSTOP),
            comes_back=lambda: os.kill(store.process.pid, signal.SIGCONT),
        )


def test_a_killed_store_fails_no_sender_and_everything_is_delivered_after(tmp_path: Path, store: S3Server) -> None:
    bucket = store.new_bucket_name()
    again: list[ServerProcess] = []
    with running_bridge(tmp_path, storage=on_s3(store, bucket=bucket, put_deadline_s=2.0)) as bridge:
        try:
            push_while_away(
                bridge,
                store,
                tmp_path,
                bucket,
                goes=store.process.kill,
                comes_back=lambda: again.append(store.process.again()),
            )
        finally:
            for process in again:
                process.stop()


def test_a_bridge_started_without_its_store_lands_and_delivers_later(tmp_path: Path, store: S3Server) -> None:
    bucket = store.new_bucket_name()
    os.kill(store.process.pid, signal.SIGSTOP)
    section = on_s3(store, bucket=bucket, put_deadline_s=1.0, s3_read_timeout_s=2.0)
    try:
        with running_bridge(tmp_path, storage=section) as bridge:
            paths = many(tmp_path / "sent", 10)
            with Sender(bridge.dimse_port, paths, associations=1) as sender:
                sender.wait(120)
            assert set(sender.statuses) == {STATUS_SUCCESS}
            check_found(bridge, 10)
            os.kill(store.process.pid, signal.SIGCONT)
            wait_until(lambda: landed(bridge) == 0, timeout_s=60, what="landing being empty")
            assert objects_in(store, bucket) == 10
    finally:
        os.kill(store.process.pid, signal.SIGCONT)


def test_landing_past_its_quota_refuses_with_a700(tmp_path: Path, store: S3Server) -> None:
    section = on_s3(store, put_deadline_s=1.0, s3_read_timeout_s=2.0, landing_quota_bytes=40_000)
    with running_bridge(tmp_path, storage=section) as bridge:
        os.kill(store.process.pid, signal.SIGSTOP)
        try:
            paths = many(tmp_path / "sent", 30)
            with Sender(bridge.dimse_port, paths, associations=1) as sender:
                wait_until(lambda: 0xA700 in sender.statuses, timeout_s=60, what="a refusal with 0xA700")
            assert 0 < len(sender.acknowledged) < 30
        finally:
            os.kill(store.process.pid, signal.SIGCONT)
