"""`make demo`: start the archive with made-up studies inside and say where to look. Ctrl-C ends it.

A running archive (the addresses of the configuration answer) is used as it is; else one is started on the same
settings. The studies go in by C-STORE, as from a modality; sent again they change nothing.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE

from bridge import config
from bridge.settings import Settings
from sample_data.generate import generate

START_DEADLINE_S = 60.0


def main() -> int:
    """Start, send, print, wait."""
    settings = config.load()
    server = None if _answers(settings) else subprocess.Popen([sys.executable, "-m", "bridge", "serve"])
    try:
        _wait(settings, server)
        with tempfile.TemporaryDirectory() as folder:
            sent = send(generate(Path(folder)), settings.dimse.host, settings.dimse.port, settings.dimse.ae_title)
        print(f"\n{sent} instances sent by C-STORE.\n\n{addresses(settings)}", flush=True)
        if server is not None:
            server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(settings.dimse.drain_timeout_s + 10)
    return 0


def send(files: list[Path], host: str, port: int, ae_title: str) -> int:
    """C-STORE every file over one association; returns how many were taken. Raises RuntimeError."""
    entity = AE(ae_title="DEMO")
    metas = [read_file_meta_info(path) for path in files]
    for sop_class_uid, syntax in {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}:
        entity.add_requested_context(sop_class_uid, syntax)
    association = entity.associate(host, port, ae_title=ae_title)
    if not association.is_established:
        raise RuntimeError(f"{ae_title} at {host}:{port} refuses the association")
    try:
        for path in files:
            status = association.send_c_store(dcmread(path))
            if status.get("Status") != 0:
                raise RuntimeError(f"{path.name} was answered with status {status.get('Status')}")
    finally:
        association.release()
    return len(files)


def addresses(settings: Settings) -> str:
    """What to open and type: the work list, a study's metadata, one rendered image, the DIMSE door."""
    service = f"http://{settings.http.host}:{settings.http.port}{settings.http.root}"
    found = json.loads(_get(settings, f"{settings.http.root}/instances?PatientID=DEMO-001&limit=1"))[0]
    study, series, instance = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    dimse = f"{settings.dimse.host} {settings.dimse.port}"
    return "\n".join((
        f"studies          {service}/studies",
        f"by Chinese name  {service}/studies?PatientName=*%E7%8E%8B*",
        f"metadata         {service}/studies/{study}/metadata",
        f"one image        {service}/studies/{study}/series/{series}/instances/{instance}/rendered",
        f"echo             echoscu -aec {settings.dimse.ae_title} {dimse}",
        f"send more        storescu -aec {settings.dimse.ae_title} +sd {dimse} FOLDER",
        "Ctrl-C ends it.",
    ))  # fmt: skip


def _get(settings: Settings, path: str) -> bytes:
    connection = http.client.HTTPConnection(settings.http.host, settings.http.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": "application/dicom+json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def _answers(settings: Settings) -> bool:
    try:
        return isinstance(json.loads(_get(settings, f"{settings.http.root}/studies?limit=1")), list)
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _wait(settings: Settings, server: subprocess.Popen[bytes] | None) -> None:
    end = time.monotonic() + START_DEADLINE_S
    while not _answers(settings):
        if time.monotonic() > end or (server is not None and server.poll() is not None):
            raise RuntimeError("the archive did not start")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
