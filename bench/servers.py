"""Starting both servers on free loopback ports, or pointing at running ones; ours with local store or MinIO."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import rival
from bench.target import CACHE, Target, discard, free_port, parse_target, process_tree, rest, wait_for_port
from tests.servers.install import install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options every bench shares."""
    parser.add_argument("--ours", nargs=2, metavar=("URL", "AET@HOST:PORT"), help="a running server of ours")
    parser.add_argument("--rival", nargs=2, metavar=("URL", "AET@HOST:PORT"), help="a running rival")
    parser.add_argument("--start", action="store_true", help="start whichever of the two is not pointed at")
    parser.add_argument("--without-rival", action="store_true", help="start ours alone")
    parser.add_argument("--without-ours", action="store_true", help="start the rival alone")
    parser.add_argument("--suite", default="sid", help="the Debian suite of the rival")
    parser.add_argument("--gdcm", action="store_true", help="the rival with its GDCM plugin, for series in JPEG 2000")
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.KEY=VALUE", help="settings of ours")
    parser.add_argument("--store", choices=["local", "s3"], default="local", help="where ours keeps bytes")
    parser.add_argument("--data", default="bench", help="name of the data folders below the cache")
    parser.add_argument("--keep", action="store_true", help="use what the data folders hold, and leave it there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=CACHE / "results")


def variant(arguments: argparse.Namespace) -> str:
    """What sets this run's results apart: `-implicit`, `-s3`."""
    implicit = "-implicit" if getattr(arguments, "implicit", False) else ""
    return implicit + ("-s3" if arguments.store == "s3" else "")


@contextlib.contextmanager
def targets(arguments: argparse.Namespace) -> Iterator[dict[str, Target]]:
    """The servers to measure by name, the rival first; those started here are stopped at the end."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Target] = {}
        if arguments.rival:
            found["rival"] = parse_target("rival", *arguments.rival)
        elif arguments.start and not arguments.without_rival:
            found["rival"] = stack.enter_context(_rival(arguments))
        if arguments.ours:
            found["ours"] = parse_target("ours", *arguments.ours)
        elif arguments.start and not arguments.without_ours:
            found["ours"] = stack.enter_context(
                ours(
                    CACHE / "ours" / arguments.data,
                    arguments.store,
                    keep=arguments.keep,
                    sink_port=_sink_port(arguments),
                    settings=arguments.set,
                )
            )
        if not found:
            raise SystemExit("nothing to measure: give --start, or --ours and --rival")
        yield found


def _sink_port(arguments: argparse.Namespace) -> int:
    """Where the destination of C-MOVE listens, for the one bench that moves."""
    return getattr(arguments, "sink_port", 104)


@contextlib.contextmanager
def _rival(arguments: argparse.Namespace) -> Iterator[Target]:
    target = rival.start(
        suite=arguments.suite,
        data=arguments.data,
        fresh=not arguments.keep,
        ports=(free_port(), free_port()),
        gdcm=arguments.gdcm,
        sink_port=_sink_port(arguments),
    )
    try:
        yield target
    finally:
        rival.stop(target.pid or 0)


@contextlib.contextmanager
def ours(
    directory: Path, store: str = "local", *, keep: bool = False, sink_port: int = 104, settings: Sequence[str] = ()
) -> Iterator[Target]:
    """`dicom-bridge serve` with its data below `directory`; all but ports, store and `settings` is the default."""
    if not keep:
        discard(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        http_port, dicom_port = free_port(), free_port()
        table = f"[dimse]\nport = {dicom_port}\nallow_any_peer = true\n[http]\nport = {http_port}\n"
        table += f'[[peers]]\nname = "sink"\nae_title = "{rival.SINK}"\nhost = "127.0.0.1"\nport = {sink_port}\n'
        table += f"[storage]\ndirectory = {json.dumps(str(directory / 'data'))}\n"
        if store == "s3":
            table += stack.enter_context(_minio(directory / "minio"))
        (directory / "bridge.toml").write_text(table)
        log = stack.enter_context((directory / "log").open("wb"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
        for name, _, value in (setting.partition("=") for setting in settings):
            environment["BRIDGE_" + name.upper().replace(".", "_")] = value
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "serve"],
            stdout=log, stderr=log, cwd=Path(__file__).parents[1], start_new_session=True,
            env=environment | {"BRIDGE_CONFIG": str(directory / "bridge.toml")},
        )  # fmt: skip
        stack.callback(_end, process)
        for port in (http_port, dicom_port):
            wait_for_port("127.0.0.1", port, lambda: process.poll() is None)
        url = f"http://127.0.0.1:{http_port}/dicom-web"
        target = parse_target("ours", url, f"BRIDGE@127.0.0.1:{dicom_port}", process.pid)
        rest({"ours": target}, quiet_s=1.0, stable_age_s=0.0)  # the sockets listen before the doors have been loaded
        yield target


@contextlib.contextmanager
def _minio(directory: Path) -> Iterator[str]:
    """A MinIO on loopback; yields the lines of our configuration that point at it."""
    program = os.environ.get("DICOM_BRIDGE_BENCH_MINIO") or shutil.which("minio") or str(install("minio"))
    port, password = free_port(), secrets.token_hex(16)
    directory.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [program, "server", "--quiet", "--address", f"127.0.0.1:{port}",
         "--console-address", f"127.0.0.1:{free_port()}", str(directory)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"MINIO_ROOT_USER": "bench", "MINIO_ROOT_PASSWORD": password},
    )  # fmt: skip
    try:
        wait_for_port("127.0.0.1", port, lambda: process.poll() is None)
        yield (
            f'hot = "s3"\ns3_endpoint = "127.0.0.1:{port}"\ns3_tls = false\n'
            f's3_access_key = "bench"\ns3_secret_key = "{password}"\n'
        )
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the root; whatever of its tree is left after 30 s is killed."""
    tree = process_tree(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
