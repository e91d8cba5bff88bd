"""A PostgreSQL cluster of our own in a temporary folder, loopback only, without durability (it is thrown away)."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.servers.install import locate
from tests.servers.process import ServerProcess, free_port

OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "listen_addresses": "127.0.0.1"}


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yields `postgresql://bridge@127.0.0.1:<port>/postgres`; the user is a superuser and needs no password."""
    programs = locate("postgres")
    owner = _owner()
    folder = Path(tempfile.mkdtemp(prefix="bridge-tests-postgres-"))
    try:
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        user, group = (owner.pw_uid, owner.pw_gid) if owner else (None, None)
        data = folder / "data"
        initdb = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "bridge",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        subprocess.run(
            [*initdb, "--no-sync"], check=True, capture_output=True, cwd=folder, user=user, group=group, extra_groups=[]
        )
        port = free_port()
        options = {**OPTIONS, "port": str(port), "unix_socket_directories": str(folder)}
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        url = f"postgresql://bridge@127.0.0.1:{port}/postgres"
        with ServerProcess(command, folder / "log", user=user, group=group, stop_signal=signal.SIGINT) as process:
            process.wait_ready(lambda: _answers(url))
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database(url: str) -> str:
    """Make an empty database on the server of `url` and answer with its url."""
    name = f"bridge_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    return f"{url.rsplit('/', 1)[0]}/{name}"


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then it runs as the package's user, or as nobody."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
