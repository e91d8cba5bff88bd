"""The listening side: limits, fairness, draining (DESIGN §7; DICOM.md D1, E16)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bridge.settings import Peer as KnownPeer
from storage.index import migrate
from tests.bridge.archives import SERIES, data_set
from tests.conftest import REPOSITORY, Dcmtk
from tests.scp.running import PATIENCE_S, SlowIntake, running_door, settings, wait_for
from tests.scp.wire import (
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    DATA,
    ECHO_CONTEXT,
    STORE_CONTEXT,
    Peer,
    associate,
    message,
    store,
)  # fmt: skip

SOP = f"{SERIES}.1"
Process = subprocess.Popen[bytes]


def expect_congestion(address: tuple[str, int]) -> None:
    """The answer is transient: try again later."""
    with Peer(address) as late:
        late.send(associate(ECHO_CONTEXT))
        kind, body = late.read()
        assert (kind, body[1:]) == (ASSOCIATE_RJ, bytes((2, 3, 2)))


def test_beyond_the_limit_is_refused_for_now_and_accepted_later(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(associations=2)) as door, Peer(door.address) as first:
        first.associate(ECHO_CONTEXT)
        with Peer(door.address) as second:
            second.associate(ECHO_CONTEXT)
            expect_congestion(door.address)
            second.release()
        with Peer(door.address) as third:
            third.associate(ECHO_CONTEXT)
            assert third.echo() == 0x0000


def test_one_peer_cannot_take_all(tmp_path: Path) -> None:
    known = (KnownPeer(name="a", ae_title="SENDER", associations=1), KnownPeer(name="b", ae_title="OTHER"))
    with running_door(tmp_path, settings(peers=known)) as door, Peer(door.address) as first:
        first.associate(ECHO_CONTEXT)
        expect_congestion(door.address)
        with Peer(door.address) as other:
            other.associate(ECHO_CONTEXT, calling="OTHER")
            assert other.echo() == 0x0000


def test_a_peer_that_calls_again_at_once_finds_its_slot_free(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(associations=1)) as door:
        for _ in range(20):
            with Peer(door.address) as peer:
                peer.associate(ECHO_CONTEXT)
                peer.release()


def test_silent_connections_cannot_keep_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scp.server._UNDECIDED", 2)
    with running_door(tmp_path, settings(associations=2, artim_timeout_s=60)) as door:
        silent = [Peer(door.address) for _ in range(6)]
        with Peer(door.address) as peer:
            peer.associate(ECHO_CONTEXT)
            assert peer.echo() == 0x0000
        for connection in silent:
            connection.socket.close()


def test_draining_lets_a_running_operation_finish(tmp_path: Path) -> None:
    slow = SlowIntake()
    with running_door(tmp_path, intake=slow.intake()) as door, Peer(door.address) as busy, Peer(door.address) as idle:
        busy.associate(STORE_CONTEXT)
        idle.associate(ECHO_CONTEXT)
        busy.send(message(3, COMMAND, store(SOP)) + message(3, DATA, data_set()))
        assert slow.has_begun.wait(PATIENCE_S)
        door.server.stop()
        idle.expect_abort(0, 0)
        slow.may_finish.set()
        assert busy.status() == 0x0000
        busy.expect_abort(0, 0)
        busy.socket.close()
        idle.socket.close()
        door.thread.join(PATIENCE_S)
        assert not door.thread.is_alive()
        assert door.count() == 1


def test_draining_waits_for_the_rest_of_an_object_that_is_coming(tmp_path: Path) -> None:
    with running_door(tmp_path) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        whole = message(3, COMMAND, store(SOP)) + message(3, DATA, data_set(), fragment_bytes=100)
        peer.send(whole[:300])
        wait_for(lambda: door.server.busy() == 1, "the operation begins")
        door.server.stop()
        peer.send(whole[300:])
        assert peer.status() == 0x0000
        peer.expect_abort(0, 0)


def test_what_does_not_finish_is_cut_at_the_end_of_the_drain(tmp_path: Path) -> None:
    with running_door(tmp_path, settings(drain_timeout_s=0.2)) as door, Peer(door.address) as peer:
        peer.associate(STORE_CONTEXT)
        peer.send(message(3, COMMAND, store(SOP)))
        wait_for(lambda: door.server.busy() == 1, "the operation begins")
        door.stop()
        peer.expect_end()
        assert list(door.archive.spool_directory.iterdir()) == []


def test_a_second_signal_after_the_end_does_no_harm(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        door.stop()
        door.server.stop()


def test_nobody_is_accepted_after_the_stop(tmp_path: Path) -> None:
    with running_door(tmp_path) as door:
        door.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(door.address)


@contextmanager
def processes(directory: Path, count: int, **dimse: object) -> Iterator[tuple[list[Process], tuple[str, int]]]:
    """Real processes of the door on one inherited socket."""
    migrate(f"sqlite:///{directory / 'index.sqlite'}")
    values = {"processes": count, "drain_timeout_s": 5.0, **dimse}
    environment = {
        **os.environ,
        "BRIDGE_STORAGE_DIRECTORY": str(directory),
        "BRIDGE_STORAGE_FREE_SPACE_RESERVE_BYTES": "0",
        **{f"BRIDGE_DIMSE_{name.upper()}": str(value) for name, value in values.items()},
    }
    log = directory / "log"
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("w") as lines:
        command = [sys.executable, "-m", "scp", "--fd", str(listening.fileno())]
        started = [
            subprocess.Popen(command, env=environment, cwd=REPOSITORY, pass_fds=(listening.fileno(),), stderr=lines)
            for _ in range(count)
        ]
        try:
            wait_for(lambda: log.read_text().count("DIMSE door open") == count, "the doors open", patience_s=60)
            yield started, listening.getsockname()
        finally:
            for process in started:
                process.kill()
                process.wait()


def test_a_killed_process_gives_its_slots_back_and_the_other_goes_on(tmp_path: Path) -> None:
    with processes(tmp_path, 2, associations=2) as (started, address), ExitStack() as peers:
        for asleep in reversed(started):  # one association to each process, the first to the first
            asleep.send_signal(signal.SIGSTOP)
            peer = peers.enter_context(Peer(address))
            peer.associate(ECHO_CONTEXT)
            assert peer.echo() == 0x0000
            asleep.send_signal(signal.SIGCONT)
        expect_congestion(address)
        started[0].kill()
        started[0].wait()

        def accepted() -> bool:
            peer = peers.enter_context(Peer(address))
            peer.send(associate(ECHO_CONTEXT))
            return peer.read()[0] == ASSOCIATE_AC

        wait_for(accepted, "a slot of the dead process is free")


def test_two_processes_take_real_images_and_end_on_sigterm(tmp_path: Path, dcmtk: Dcmtk, shared_data: Path) -> None:
    files = sorted((shared_data / "ct-head-phantom").glob("I2*.dcm"))
    with processes(tmp_path, 2) as (started, (host, port)):
        done = dcmtk.run("storescu", host, str(port), *files)
        assert done.returncode == 0, done.stderr
        for process in started:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(PATIENCE_S) for process in started] == [0, 0]


def test_a_door_that_cannot_open_says_why(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scp"],
        env={**os.environ, "BRIDGE_STORAGE_DIRECTORY": str(tmp_path), "BRIDGE_DIMSE_PORT": "0"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "dicom-bridge migrate" in done.stderr
