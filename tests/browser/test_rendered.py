"""What /rendered gives of reports and waveforms, opened in Chromium under the policy it is sent with."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.sr.coding import Code
from pydicom.uid import MPEG4HP41, VideoEndoscopicImageStorage

from bridge.arrival import ingest_file
from tests.bridge.archives import open_test_archive
from tests.bridge.shown import coded, content, evidence, instance, referenced, report
from tests.dicomweb.web import ORIGIN, SERIES, STUDY, ct, save, serving

pytestmark = pytest.mark.server
HERE = Path(__file__).parent
HOSTILE = "<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[str]:
    """A server with an image, a report of it, and an ECG."""
    folder = tmp_path_factory.mktemp("archive")
    archive = open_test_archive(folder)
    image = f"{SERIES}.1"
    made = report(
        content(
            "CONTAINER",
            content("TEXT", TextValue="左肺上叶结节"),
            content("TEXT", TextValue=HOSTILE),
            content("IMAGE", ReferencedSOPSequence=[referenced(image)]),
            concept=Code("121070", "DCM", "Findings"),
        ),
        ConceptNameCodeSequence=[coded(Code("18748-4", "LN", "Diagnostic Imaging Report"))],
        CurrentRequestedProcedureEvidenceSequence=[evidence(referenced(image), study=STUDY, series=SERIES)],
        StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.9", SOPInstanceUID=f"{STUDY}.9.1",
    )  # fmt: skip
    ecg = shared_data / "variety" / "pydicom-pydicom__test_files__waveform_ecg.dcm"
    for path in (save(ct(), folder / "image.dcm"), save(made, folder / "report.dcm"), ecg):
        ingest_file(archive, path, site="default", origin=ORIGIN)
    with serving(archive) as address:
        yield address
    archive.close()


def opened(url: str, picture: Path, node: Path, playwright_core: Path, chromium: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed("rendered.js", node, playwright_core, chromium, url, picture))
    return found


def printed(script: str, node: Path, *arguments: str | Path) -> str:
    run = subprocess.run([node, HERE / script, *arguments], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_report_is_a_page_that_runs_nothing_and_links_to_its_images(
    service: str, tmp_path: Path, node: Path, playwright_core: Path, chromium: Path
) -> None:
    url = f"{service}/studies/{STUDY}/series/{STUDY}.9/instances/{STUDY}.9.1/rendered"
    seen = opened(url, tmp_path / "report.png", node, playwright_core, chromium)
    assert seen["title"] == "Diagnostic Imaging Report"
    assert seen["headings"] == ["Diagnostic Imaging Report", "Findings", "Referenced objects"]
    assert "左肺上叶结节" in seen["text"]
    assert HOSTILE in seen["text"]
    assert seen["styled"] == "grid"  # the policy lets the page's own style through
    assert seen["followed"] in (["image/jpeg", 4], ["image/webp", 4])
    assert (seen["failed"], seen["problems"]) == ([], [])


def test_an_ecg_is_drawn_as_svg(
    service: str, shared_data: Path, tmp_path: Path, node: Path, playwright_core: Path, chromium: Path
) -> None:

    stored = dcmread(shared_data / "variety" / "pydicom-pydicom__test_files__waveform_ecg.dcm", stop_before_pixels=True)
    place = f"/studies/{stored.StudyInstanceUID}/series/{stored.SeriesInstanceUID}/instances/{stored.SOPInstanceUID}"
    url = f"{service}{place}/rendered?accept=image/svg%2Bxml"
    seen = opened(url, tmp_path / "ecg.png", node, playwright_core, chromium)
    assert seen["traces"] == 48
    assert "aVR" in seen["text"]
    assert seen["width"] > 1000  # 280 mm
    assert (seen["failed"], seen["problems"]) == ([], [])
    colours = Image.open(tmp_path / "ecg.png").convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 8  # paper, squares and traces are painted


def test_a_video_plays_in_a_page_and_can_be_sought(
    tmp_path: Path, node: Path, playwright_core: Path, chromium: Path
) -> None:
    film = base64.b64decode(printed("video.js", node, playwright_core, chromium))
    item = instance(VideoEndoscopicImageStorage, Rows=48, Columns=64, NumberOfFrames=25, Modality="ES")
    item.SamplesPerPixel, item.PhotometricInterpretation, item.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 8, 8, 7, 0
    item.PixelData = encapsulate([film], has_bot=False)
    item["PixelData"].VR, item["PixelData"].is_undefined_length = "OB", True
    archive = open_test_archive(tmp_path)
    ref = ingest_file(archive, save(item, tmp_path / "film.dcm", MPEG4HP41), site="default", origin=ORIGIN).ref
    place = f"/studies/{ref.study_instance_uid}/series/{ref.series_instance_uid}/instances/{ref.sop_instance_uid}"
    with serving(archive) as service:
        url = f"{service}{place}/rendered"
        seen = json.loads(printed("video.js", node, playwright_core, chromium, url, tmp_path / "film.png"))
    archive.close()
    assert (seen["width"], seen["height"]) == (64, 48)
    assert seen["time"] == pytest.approx(0.7)
    assert set(seen["statuses"]) == {206}
    colours = Image.open(tmp_path / "film.png").convert("RGB").getcolors(1 << 20)
    assert any(max(colour) - min(colour) > 100 for _, colour in colours or ())  # a coloured picture is on the screen
