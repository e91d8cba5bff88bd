"""Two S3 servers: MinIO, and the Versity gateway over a folder as the second opinion."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.install import locate
from tests.servers.process import ServerProcess, free_port


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running S3 server without TLS; `endpoint` is host:port."""

    endpoint: str
    access_key: str
    secret_key: str
    process: ServerProcess

    def new_bucket_name(self) -> str:
        """A bucket name nobody used before; nothing is created."""
        return f"test-{secrets.token_hex(8)}"


@contextlib.contextmanager
def minio() -> Iterator[S3Server]:
    """A MinIO of one disk in a temporary folder: versioning, object lock and tags work."""
    with _folder("minio") as folder:
        port, console = free_port(), free_port()
        command = [str(locate("minio")), "server", "--quiet", "--address", f"127.0.0.1:{port}"]
        command += ["--console-address", f"127.0.0.1:{console}", str(folder / "data")]
        environment = {"MINIO_ROOT_USER": "bridge-tests", "MINIO_ROOT_PASSWORD": secrets.token_hex(16)}
        environment |= {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_CI_CD": "1"}
        process = ServerProcess(command, folder / "log", environment=environment)
        server = S3Server(
            f"127.0.0.1:{port}", environment["MINIO_ROOT_USER"], environment["MINIO_ROOT_PASSWORD"], process
        )
        with process:
            process.wait_ready(_answers(port, "/minio/health/ready"))
            yield server


@contextlib.contextmanager
def versitygw() -> Iterator[S3Server]:
    """A Versity gateway over a temporary folder, with versioning."""
    with _folder("versitygw") as folder:
        port, access_key, secret_key = free_port(), "bridge-tests", secrets.token_hex(16)
        for name in ("data", "versions"):
            (folder / name).mkdir()
        command = [str(locate("versitygw")), "--port", f"127.0.0.1:{port}", "--health", "/health", "--quiet"]
        command += ["--access", access_key, "--secret", secret_key]
        command += ["posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")]
        process = ServerProcess(command, folder / "log")
        with process:
            process.wait_ready(_answers(port, "/health"))
            yield S3Server(f"127.0.0.1:{port}", access_key, secret_key, process)


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"bridge-tests-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _answers(port: int, path: str) -> Callable[[], bool]:
    def ask() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    return ask
