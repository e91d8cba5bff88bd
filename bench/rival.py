"""The rival: the newest Orthanc with its DICOMweb plugin, from Debian unstable, in a folder outside the repository.

`python -m bench.rival setup|start|stop|status`. `debootstrap` fills the folder from the mirror of this system's own
apt configuration, `chroot` runs the server, so both need root. Without unstable, `setup --suite bookworm` takes the
(much slower) stable release. DCMTK asks the resolver for the machine's own name and id once per data set unless
/etc/hosts and /etc/hostid answer: setup writes both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.target import CACHE, Target, discard, parse_target, wait_for_port

PACKAGES = "orthanc,orthanc-dicomweb,orthanc-gdcm"
AE_TITLE = "ORTHANC"
SINK = "SINK"  # the AE title of the destination of C-MOVE
DATA = "bench-data"  # below the root of the chroot


def system_mirror(configuration: Path = Path("/etc/apt")) -> str:
    """The Debian mirror that apt is set up with; raises RuntimeError when there is none."""
    for path in [configuration / "sources.list", *sorted((configuration / "sources.list.d").glob("*"))]:
        if path.is_file():
            text = re.sub(r"#.*", "", path.read_text())
            if found := re.search(r"https?://\S+/debian/?(?=\s|$)", text):
                return found.group()
    raise RuntimeError(f"no Debian mirror in {configuration}")


def setup(suite: str = "sid") -> Path:
    """Install the rival below the cache folder unless it is there already; returns the root of the chroot."""
    root = CACHE / suite
    if not (root / "usr/sbin/Orthanc").exists() or not any(root.glob("usr/*/orthanc/**/libOrthancGdcm.so*")):
        shutil.rmtree(root, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root), system_mirror()]
        subprocess.run(command, check=True)
    name = socket.gethostname()
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {name}\n::1 localhost {name}\n")
    (root / "etc/hostname").write_text(name + "\n")
    (root / "etc/hostid").write_bytes(b"\x01\x02\x03\x04")
    return root


def configuration(
    root: Path, data: str, http_port: int, dicom_port: int, *, gdcm: bool = False, sink_port: int = 104
) -> dict[str, object]:
    """Orthanc's settings: SQLite, only the DICOMweb plugin, as many threads as it makes use of.

    Without GDCM it answers 500 where JPEG 2000 has to be decoded. With it the threads of its HTTP server overflow
    their stacks and it dies, so then other threads load the instances of a series.
    """
    names = ("libOrthancDicomWeb", *(("libOrthancGdcm",) if gdcm else ()))
    folders = (root / "usr/lib/orthanc", root / "usr/share/orthanc/plugins")
    plugins = [max(path for folder in folders for path in folder.glob(f"{name}.so*")) for name in names]
    web: dict[str, object] = {"Enable": True, "Root": "/dicom-web/"}
    if gdcm:
        web["WadoRsLoaderThreadsCount"] = 4
    return {
        "Name": "bench",
        "StorageDirectory": f"/{DATA}/{data}",
        "IndexDirectory": f"/{DATA}/{data}",
        "Plugins": ["/" + str(plugin.relative_to(root)) for plugin in plugins],
        "HttpPort": http_port,
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": False,
        "SslEnabled": False,
        "HttpThreadsCount": 50,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "DicomThreadsCount": 8,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"sink": [SINK, "127.0.0.1", sink_port]},
        "DicomWeb": web,
    }


def start(
    *,
    suite: str = "sid",
    data: str = "default",
    fresh: bool = False,
    ports: tuple[int, int] = (8042, 4242),
    gdcm: bool = False,
    sink_port: int = 104,
) -> Target:
    """Start it on loopback and wait until both doors answer; `data` names its folder, `fresh` empties that first."""
    root = setup(suite)
    folder = root / DATA / data
    if fresh:
        discard(folder)
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = ports
    settings = root / DATA / f"{data}.json"
    wanted = configuration(root, data, http_port, dicom_port, gdcm=gdcm, sink_port=sink_port)
    settings.write_text(json.dumps(wanted, indent=2))
    with (root / DATA / f"{data}.log").open("wb") as log:
        process = subprocess.Popen(
            ["chroot", str(root), "/usr/sbin/Orthanc", f"/{DATA}/{data}.json"],
            stdout=log, stderr=log, env={"PATH": "/usr/sbin:/usr/bin", "TCP_NODELAY": "1", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )  # fmt: skip
    for port in ports:
        wait_for_port("127.0.0.1", port, lambda: process.poll() is None)
    (root / DATA / "pid").write_text(f"{process.pid} {http_port} {dicom_port}")
    url = f"http://127.0.0.1:{http_port}/dicom-web"
    return parse_target("rival", url, f"{AE_TITLE}@127.0.0.1:{dicom_port}", process.pid)


def stop(pid: int, deadline_s: float = 60.0) -> None:
    """End the process and wait until it is gone."""
    end = time.monotonic() + deadline_s
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < end:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    return
            except ChildProcessError:
                os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["setup", "start", "stop", "status"])
    parser.add_argument("--suite", default="sid")
    parser.add_argument("--data", default="default", help="name of the data folder")
    parser.add_argument("--fresh", action="store_true", help="empty the data folder first")
    parser.add_argument("--http-port", type=int, default=8042)
    parser.add_argument("--dicom-port", type=int, default=4242)
    arguments = parser.parse_args()
    note = CACHE / arguments.suite / DATA / "pid"
    if arguments.action == "setup":
        print(setup(arguments.suite))
    elif arguments.action == "start":
        ports = (arguments.http_port, arguments.dicom_port)
        target = start(suite=arguments.suite, data=arguments.data, fresh=arguments.fresh, ports=ports)
        print(f"{target.url} {target.ae_title}@{target.host}:{target.port} (process {target.pid})")
    elif not note.exists():
        print("not running")
    elif arguments.action == "stop":
        stop(int(note.read_text().split()[0]))
        note.unlink()
    else:
        print(note.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
