"""The main job with real clients: DCMTK pushes, dicomweb-client finds and retrieves, the bytes are the wire's."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from tests.conftest import Dcmtk
from tests.servers.object_stores import S3Server
from tests.servers.postgres import fresh_database
from tests.system.objects import ct_slices, data_set_bytes
from tests.system.running import RunningBridge, on_s3, running_bridge

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=["local+sqlite", "minio+postgresql"])
def bridge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    """A bridge on each of the two set-ups that configuration alone tells apart."""
    sections: dict[str, dict[str, object]] = {}
    if request.param == "minio+postgresql":
        server: S3Server = request.getfixturevalue("minio_server")
        database = fresh_database(request.getfixturevalue("postgres_url"))
        sections = {"storage": on_s3(server), "index": {"url": database}}
    with running_bridge(tmp_path_factory.mktemp("bridge"), **sections) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(bridge: RunningBridge, shared_data: Path, dcmtk: Dcmtk) -> list[Path]:
    """The CT series, pushed by storescu."""
    slices = ct_slices(shared_data)
    done = dcmtk.run("storescu", "-aec", "BRIDGE", "127.0.0.1", str(bridge.dimse_port), *slices)
    assert done.returncode == 0, done.stderr
    return slices


def test_a_client_finds_the_study_it_pushed(bridge: RunningBridge, pushed: list[Path]) -> None:
    header = pydicom.dcmread(pushed[0], stop_before_pixels=True)
    client = DICOMwebClient(bridge.url)
    [study] = client.search_for_studies(search_filters={"PatientID": str(header.PatientID)})
    found = pydicom.Dataset.from_json(study)
    assert found.StudyInstanceUID == header.StudyInstanceUID
    assert found.NumberOfStudyRelatedInstances == len(pushed)
    assert found.ModalitiesInStudy == "CT"


def test_what_is_retrieved_as_stored_equals_the_bytes_on_the_wire(bridge: RunningBridge, pushed: list[Path]) -> None:
    for path in pushed[::7]:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        status, body = bridge.get(
            f"/dicom-web/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
            f"/instances/{header.SOPInstanceUID}",
            {"Accept": "application/dicom; transfer-syntax=*"},
        )
        assert status == 200
        sent = data_set_bytes(path)
        assert hashlib.sha256(body[-len(sent) :]).digest() == hashlib.sha256(sent).digest()
        assert pydicom.dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == header.file_meta.TransferSyntaxUID


def test_the_series_comes_back_whole(bridge: RunningBridge, pushed: list[Path]) -> None:
    header = pydicom.dcmread(pushed[0], stop_before_pixels=True)
    client = DICOMwebClient(bridge.url)
    series = client.retrieve_series(header.StudyInstanceUID, header.SeriesInstanceUID)
    expected = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in pushed}
    assert {instance.SOPInstanceUID for instance in series} == expected


def test_a_frame_is_the_pixel_data(bridge: RunningBridge, pushed: list[Path]) -> None:
    image = pydicom.dcmread(pushed[3])
    client = DICOMwebClient(bridge.url)
    [frame] = client.retrieve_instance_frames(
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, [1]
    )
    assert frame == image.PixelData


def test_metadata_describes_every_instance(bridge: RunningBridge, pushed: list[Path]) -> None:
    header = pydicom.dcmread(pushed[0], stop_before_pixels=True)
    client = DICOMwebClient(bridge.url)
    metadata = client.retrieve_series_metadata(header.StudyInstanceUID, header.SeriesInstanceUID)
    assert len(metadata) == len(pushed)
    numbers = [instance["00200013"]["Value"][0] for instance in metadata]
    assert numbers == sorted(numbers)


def test_pushing_again_changes_nothing(bridge: RunningBridge, pushed: list[Path], dcmtk: Dcmtk) -> None:
    before = bridge.json("/instances")
    done = dcmtk.run("storescu", "127.0.0.1", str(bridge.dimse_port), *pushed[:5])
    assert done.returncode == 0, done.stderr
    assert bridge.json("/instances") == before


def test_scrub_finds_every_object_intact(bridge: RunningBridge, pushed: list[Path]) -> None:
    said = bridge.cli("scrub").stdout
    assert f"{len(pushed)} of {len(pushed)} objects are intact" in said


def test_nothing_of_the_patient_is_in_the_log(bridge: RunningBridge, pushed: list[Path]) -> None:
    header = pydicom.dcmread(pushed[0], stop_before_pixels=True)
    assert str(header.PatientName) not in bridge.log()
    assert str(header.PatientID) not in bridge.log()
