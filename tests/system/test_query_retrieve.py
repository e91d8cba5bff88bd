"""Other people's clients query and retrieve from a whole bridge: DCMTK, pynetdicom's programs, dcmjs-dimse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.bridge.archives import SERIES, STUDY, data_set, part10
from tests.conftest import Dcmtk
from tests.scp.destinations import Destination, storescp
from tests.servers.install import locate
from tests.system.running import RunningBridge, running_bridge

pytestmark = pytest.mark.server
OTHER, OTHER_SERIES = "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.2.1"
UIDS = [f"{SERIES}.{number}" for number in (1, 2, 3)]
CLIENT = Path(__file__).parent / "dcmjs" / "client.js"


@dataclass(frozen=True)
class Site:
    """A bridge with two studies, and a destination it knows as SINK."""

    bridge: RunningBridge
    sink: Destination

    def sent(self) -> list[str]:
        """The SOP Instance UIDs at the destination, which is emptied."""
        uids = sorted(str(one.SOPInstanceUID) for one in self.sink.received())
        for file in self.sink.files():
            file.unlink()
        return uids


@pytest.fixture(scope="module")
def site(dcmtk: Dcmtk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with storescp(dcmtk, folder / "sink") as sink:
        peers: list[dict[str, object]] = [
            {"name": "sink", "ae_title": "SINK", "host": "127.0.0.1", "port": sink.port, "services": ["echo"]}
        ]
        with running_bridge(folder / "bridge", dimse={"allow_any_peer": True}, peers=peers) as bridge:
            files = folder / "files"
            files.mkdir()
            for number in (1, 2, 3):
                (files / f"{number}.dcm").write_bytes(part10(number))
            (files / "other.dcm").write_bytes(part10(1, study=OTHER, series=OTHER_SERIES, PatientName="Wang^Wu"))
            done = dcmtk.run("storescu", "-aec", "BRIDGE", "+sd", "127.0.0.1", str(bridge.dimse_port), files)
            assert done.returncode == 0, done.stderr
            yield Site(bridge, sink)


def test_dcmtk_findscu(site: Site, dcmtk: Dcmtk, tmp_path: Path) -> None:
    keys = ["QueryRetrieveLevel=STUDY", "PatientName=Zhang*", "StudyInstanceUID", "NumberOfStudyRelatedInstances"]
    options = [part for key in keys for part in ("-k", key)]
    port = str(site.bridge.dimse_port)
    done = dcmtk.run("findscu", "-S", "-aec", "BRIDGE", "-X", "-od", tmp_path, *options, "127.0.0.1", port)
    assert done.returncode == 0, done.stderr
    (answer,) = [dcmread(path, force=True) for path in tmp_path.glob("rsp*.dcm")]
    assert (answer.StudyInstanceUID, str(answer.PatientName)) == (STUDY, "Zhang^San=张^三")
    assert answer.NumberOfStudyRelatedInstances == 3


def test_dcmtk_findscu_cancels(site: Site, dcmtk: Dcmtk) -> None:
    options = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "--cancel", "1"]
    done = dcmtk.run("findscu", "-v", "-S", "-aec", "BRIDGE", *options, "127.0.0.1", str(site.bridge.dimse_port))
    assert done.returncode == 0, done.stderr


def test_dcmtk_getscu(site: Site, dcmtk: Dcmtk, tmp_path: Path) -> None:
    options = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}", "-od", str(tmp_path), "+B"]
    done = dcmtk.run("getscu", "-v", "-S", "-aec", "BRIDGE", *options, "127.0.0.1", str(site.bridge.dimse_port))
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.iterdir())
    assert sorted(str(dcmread(file).SOPInstanceUID) for file in files) == UIDS
    assert sorted(file.read_bytes()[-len(data_set(1)) :] for file in files) == sorted(map(data_set, (1, 2, 3)))


def test_dcmtk_movescu_to_storescp(site: Site, dcmtk: Dcmtk) -> None:
    options = [
        "-k",
        "QueryRetrieveLevel=SERIES",
        "-k",
        f"StudyInstanceUID={STUDY}",
        "-k",
        f"SeriesInstanceUID={SERIES}",
    ]
    port = str(site.bridge.dimse_port)
    done = dcmtk.run("movescu", "-v", "-S", "-aec", "BRIDGE", "-aem", "SINK", *options, "127.0.0.1", port)
    assert done.returncode == 0, done.stderr
    assert site.sent() == UIDS


def test_dcmtk_movescu_to_nobody_is_told(site: Site, dcmtk: Dcmtk) -> None:
    options = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}"]
    port = str(site.bridge.dimse_port)
    done = dcmtk.run("movescu", "-v", "-S", "-aec", "BRIDGE", "-aem", "NOBODY", *options, "127.0.0.1", port)
    assert "Move Destination unknown" in done.stderr.replace("MoveDestinationUnknown", "Move Destination unknown")


def pynetdicom(site: Site, program: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """One of pynetdicom's programs at study level."""
    command = [sys.executable, "-m", "pynetdicom", program, "127.0.0.1", str(site.bridge.dimse_port), "-S"]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}"]
    done = subprocess.run(
        [*command, *keys, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_pynetdicom_findscu(site: Site, tmp_path: Path) -> None:
    done = pynetdicom(site, "findscu", tmp_path, "-k", "PatientID=")
    assert "Find SCP Result: 0x0000" in done.stderr
    assert "P1" in done.stderr


def test_pynetdicom_getscu(site: Site, tmp_path: Path) -> None:
    done = pynetdicom(site, "getscu", tmp_path, "-od", str(tmp_path))
    assert "Get SCP Result: 0x0000" in done.stderr
    assert sorted(str(dcmread(file).SOPInstanceUID) for file in tmp_path.iterdir()) == UIDS


def test_pynetdicom_movescu(site: Site, tmp_path: Path) -> None:
    done = pynetdicom(site, "movescu", tmp_path, "-aem", "SINK")
    assert "Move SCP Result: 0x0000" in done.stderr
    assert site.sent() == UIDS


def dcmjs(site: Site, verb: str, *arguments: str) -> dict[str, list[object]]:
    """What the JavaScript client saw."""
    command = [str(locate("node")), str(CLIENT), str(site.bridge.dimse_port), verb, *arguments]
    done = subprocess.run(
        command, env={"NODE_PATH": str(locate("dcmjs"))}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, list[object]] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def test_dcmjs_echo(site: Site) -> None:
    assert dcmjs(site, "echo")["statuses"] == [0x0000]


def test_dcmjs_find(site: Site) -> None:
    said = dcmjs(site, "find")
    assert (said["statuses"], said["found"]) == ([0xFF00, 0x0000], [STUDY])


def test_dcmjs_get(site: Site) -> None:
    said = dcmjs(site, "get", STUDY)
    assert (said["statuses"][-1], sorted(map(str, said["stored"]))) == (0x0000, UIDS)


def test_dcmjs_move(site: Site) -> None:
    assert dcmjs(site, "move", STUDY, "SINK")["statuses"][-1] == 0x0000
    assert site.sent() == UIDS
