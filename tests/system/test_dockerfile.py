"""The image builds from the Dockerfile's own steps, runs without root, says when it is healthy and takes an image."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Dcmtk
from tests.servers.install import locate
from tests.system.dockerfile import Image, build, instructions

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

# Inside a network of its own, so that the image's real ports are free: start, wait for health, be a client, stop.
TRIAL = """
set -eu
{python} -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))'  # loopback up: SIOCSIFFLAGS
{add_key}
{start} &
server=$!
tries=0
until {healthy} 2>/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 100 ]; kill -0 $server; sleep 0.5
done
{echo}
kill -TERM $server
wait $server
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The built image; its folders are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bridge-image-") as folder:
        yield build(REPOSITORY / "Dockerfile", locate("debian"), Path(folder))


def test_the_image_becomes_healthy_answers_an_echo_and_stops_cleanly(image: Image, dcmtk: Dcmtk) -> None:
    script = TRIAL.format(
        python=sys.executable,
        add_key=shlex.join(image.argv(["dicom-bridge", "keys", "add", "trial"])),
        start=shlex.join(image.argv(image.command)),
        healthy=shlex.join(image.argv(image.health_command)),
        echo=f"{dcmtk.path('echoscu')} -aec BRIDGE 127.0.0.1 11112",
    )
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={image.root}/proc"]
    environment = {**image.environment, "BRIDGE_DIMSE_ALLOW_ANY_PEER": "true"}
    done = subprocess.run([*alone, "sh", "-c", script], env=environment, timeout=180, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("brk_")


def test_the_image_runs_as_an_ordinary_user_who_owns_only_the_data(image: Image) -> None:
    assert image.user == "bridge"
    image.run(["sh", "-c", "test $(id -u) = 10001 && touch /data/x && rm /data/x && ! touch /opt/bridge/x 2>/dev/null"])


def test_comments_and_continued_lines_are_read_as_an_engine_reads_them() -> None:
    assert instructions("# a\nRUN a \\\n    && b\n\nUSER x\n") == [("RUN", "a && b"), ("USER", "x")]
