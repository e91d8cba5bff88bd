"""OHIF's other sides: reconstruction, cine, colour, mammogram, PDF, video, report, segmentation overlay, slide."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41

from bench.servers import ours
from sample_data.build import Study, data_set, set_transfer_syntax, write
from sample_data.demo import send
from sample_data.generate import generate
from tests.browser import viewer

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.4.1"  # Video Photographic Image Storage
TOUR: dict[str, dict[str, str]] = {  # stop -> the file it shows, OHIF's mode, what is on the screen when it is there
    "reconstruction": {"file": "ct-head/000.dcm", "more": "&hangingProtocolId=mpr", "wait": "canvas"},
    "ultrasound": {"file": "us-heart/000.dcm", "wait": "canvas"},
    "radiograph": {"file": "cr-chest/000.dcm", "wait": "canvas"},
    "mammogram": {"file": "mg-screening/000.dcm", "more": "&hangingProtocolId=@ohif/mnGrid", "wait": "canvas"},
    "enhanced": {"file": "ct-head/enhanced.dcm", "series": "only", "wait": "canvas"},
    "report": {"file": "ct-head/report.dcm", "series": "only", "wait": "text=右侧半球出血"},
    "segmentation": {"file": "ct-head/bleeding.dcm", "mode": "segmentation", "wait": "canvas", "open": "Bleeding",
                     "then": "text=Add Segment"},
    "slide": {"file": "slide/level-1.dcm", "mode": "microscopy", "wait": "canvas"},
    "letter": {"file": "ct-head/letter.dcm", "series": "only", "wait": "object, embed, iframe"},
    "video": {"file": "video/000.dcm", "wait": "canvas"},
}  # fmt: skip


def write_video(folder: Path, ffmpeg: Path) -> Path:
    """Two seconds of a test picture, H.264 in an MP4 container (PS3.5 §8.2.7)."""
    folder.mkdir()
    subprocess.run(
        [ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "2", "-pix_fmt",
         "yuv420p", "-c:v", "libx264", "-movflags", "+faststart", folder / "stream.mp4"],
        check=True, timeout=60,
    )  # fmt: skip
    study = Study(patient_name="Demo^Fay", patient_id="DEMO-009", study_uid="2.25.900", accession_number="A1009",
                  description="Skin video")  # fmt: skip
    made = data_set(study, VIDEO, "XC", "2.25.901", 1, "2.25.902")
    made.ImageType, made.InstanceNumber, made.PatientOrientation = ["ORIGINAL", "PRIMARY"], 1, ""
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    made.Rows, made.Columns, made.NumberOfFrames = 240, 320, 50
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.CineRate, made.FrameTime, made.FrameIncrementPointer = 25, "40", 0x00181063
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_14496_10"
    made.LossyImageCompressionRatio = "50"
    made.add_new("PixelData", "OB", encapsulate([(folder / "stream.mp4").read_bytes()], has_bot=False))
    made["PixelData"].is_undefined_length = True
    set_transfer_syntax(made, MPEG4HP41)
    return write(made, folder / "000.dcm")


def stop(address: str, folder: Path, name: str, row: dict[str, str]) -> dict[str, str]:
    """A stop as the script wants it."""
    read = dcmread(folder / row["file"], specific_tags=["StudyInstanceUID", "SeriesInstanceUID"])
    url = f"{address}/{row.get('mode', 'viewer')}?StudyInstanceUIDs={read.StudyInstanceUID}{row.get('more', '')}"
    if "series" in row:
        url += f"&SeriesInstanceUIDs={read.SeriesInstanceUID}"
    return {"name": name, "url": url, **{key: row[key] for key in ("wait", "open", "then") if key in row}}


@pytest.fixture(scope="module")
def toured(
    tmp_path_factory: pytest.TempPathFactory, ohif_dist: Path, chromium: Path, node: Path, playwright_core: Path,
    ffmpeg: Path,
) -> Any:  # fmt: skip
    """Stop -> what the browser saw there; screenshots lie beside it."""
    folder, pictures = tmp_path_factory.mktemp("sample_data"), tmp_path_factory.mktemp("tour")
    files = [*generate(folder), write_video(folder / "video", ffmpeg)]
    with ours(tmp_path_factory.mktemp("bridge")) as bridge, viewer.serve(ohif_dist, bridge.url) as address:
        send(files, bridge.host, bridge.port, bridge.ae_title)
        stops = [stop(address, folder, name, row) for name, row in TOUR.items()]
        script = Path(__file__).with_name("ohif_tour.js")
        run = subprocess.run(
            [node, script, playwright_core, chromium, pictures, json.dumps(stops)],
            capture_output=True, text=True, timeout=840,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", TOUR)
def test_ohif_shows(name: str, toured: dict[str, Any]) -> None:
    seen = toured[name]
    assert (seen["failed"], seen["problems"]) == ([], [])
    if TOUR[name]["wait"] == "canvas":
        assert seen["measure"] > 0


@pytest.mark.parametrize(("name", "media_type"), [("letter", "application/pdf"), ("video", "video/mp4")])
def test_ohif_gets_what_is_no_image_as_its_own_type(name: str, media_type: str, toured: dict[str, Any]) -> None:
    assert media_type in toured[name]["types"]
