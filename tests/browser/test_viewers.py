"""Other people's viewers and their libraries in Chromium against the running bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless

from bench.servers import ours
from bench.target import Target
from sample_data.demo import send
from sample_data.generate import generate
from tests.browser import pages

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
LEVELS = 8  # a painted image has more colours than an empty canvas
VARIETY = {  # what other archives leave black in viewers, and one of each common compression
    "deflated": "pydicom-pydicom__test_files__image_dfl.dcm",
    "big endian": "pydicom-pydicom__test_files__MR_small_bigendian.dcm",
    "RLE": "pydicom-pydicom__test_files__MR_small_RLE.dcm",
    "JPEG baseline": "pydicom-pydicom__test_files__SC_rgb_jpeg_gdcm.dcm",
    "JPEG lossless": "pydicom-pydicom-data__JPGLosslessP14SV1_1s_1f_8b.dcm",
    "JPEG-LS": "pydicom-pydicom__test_files__MR_small_jpeg_ls_lossless.dcm",
    "JPEG 2000": "pydicom-pydicom-data__emri_small_jpeg_2k_lossless.dcm",
    "palette": "pydicom-pydicom__test_files__examples_palette.dcm",
}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with ours(tmp_path_factory.mktemp("bridge")) as target:
        yield target


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, viewer_modules: Path, node: Path, playwright_core: Path, chromium: Path
) -> Iterator[pages.Pages]:
    pages.bundle(viewer_modules, node, bundles := tmp_path_factory.mktemp("bundles"))
    with pages.serve(viewer_modules, bundles) as address:
        yield pages.Pages(address, node, playwright_core, chromium)


@pytest.fixture(scope="module")
def made(bridge: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the made-up studies, which the bridge has."""
    files = generate(folder := tmp_path_factory.mktemp("sample_data"))
    send(files, bridge.host, bridge.port, bridge.ae_title)
    return folder


def named(bridge: Target, path: Path, **more: str) -> dict[str, str]:
    """The parameters of a page that shows this instance."""
    read = dcmread(path, specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
    uids = {"study": read.StudyInstanceUID, "series": read.SeriesInstanceUID, "instance": read.SOPInstanceUID}
    return {"service": bridge.url, **uids, **more}


def check_unhurt(seen: dict[str, Any]) -> None:
    assert (seen["failed"], seen["problems"], seen.get("error")) == ([], [], None)


def test_dicomweb_client_for_javascript_finds_fetches_and_stores(
    bridge: Target, opened: pages.Pages, made: Path, tmp_path: Path
) -> None:
    path = made / "ct-head" / "012.dcm"
    seen = opened.open("dicomweb_client", named(bridge, path), tmp_path / "client.png")
    check_unhurt(seen)
    read = dcmread(path)
    assert (seen["studies"], seen["none"]) == ([read.StudyInstanceUID], [])
    assert (seen["instances"], seen["seriesParts"], seen["rows"]) == (24, 24, [256] * 24)
    assert (seen["frameBytes"], seen["bulkBytes"]) == ([256 * 256 * 2], 256 * 256 * 2)
    assert (seen["magic"], seen["rendered"]) == ("DICM", "PNG")
    assert read.SOPInstanceUID in str(seen["stored"]["00081199"])


@pytest.mark.parametrize("way", ["rs", "uri"])
def test_dwv_paints_an_instance_by_both_ways_of_asking(
    way: str, bridge: Target, opened: pages.Pages, made: Path, tmp_path: Path
) -> None:
    seen = opened.open("dwv", named(bridge, made / "ct-head" / "012.dcm", way=way), tmp_path / "dwv.png")
    check_unhurt(seen)
    assert seen["painted"]["levels"] > LEVELS


def test_the_microscopy_viewer_paints_the_tiles_of_a_pyramid(
    bridge: Target, opened: pages.Pages, made: Path, tmp_path: Path
) -> None:
    seen = opened.open("microscopy", named(bridge, made / "slide" / "level-1.dcm"), tmp_path / "slide.png")
    check_unhurt(seen)
    assert seen["levels"] == 3
    assert seen["painted"] > 1000


def test_cornerstone_paints_every_transfer_syntax(
    bridge: Target, opened: pages.Pages, shared_data: Path, tmp_path: Path
) -> None:
    plain = shared_data / "variety" / "pydicom-pydicom__test_files__MR_small.dcm"
    images = {kind: dcmread(shared_data / "variety" / name) for kind, name in VARIETY.items()}
    images["HTJ2K"] = compressed(plain, HTJ2KLossless, imagecodecs.htj2k_encode)
    images["JPEG XL"] = compressed(
        plain, JPEG_XL_LOSSLESS, lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True)
    )
    paths, files = {}, []
    for number, (kind, read) in enumerate(images.items()):
        read.SOPInstanceUID = read.file_meta.MediaStorageSOPInstanceUID = f"2.25.9{number}"
        files.append(tmp_path / f"{number}.dcm")
        read.save_as(files[-1], enforce_file_format=True)
        paths[kind] = f"{read.StudyInstanceUID}/{read.SeriesInstanceUID}/{read.SOPInstanceUID}"
    send(files, bridge.host, bridge.port, bridge.ae_title)
    seen = opened.open(
        "cornerstone", {"service": bridge.url, "instances": ",".join(paths.values())}, tmp_path / "cornerstone.png"
    )
    assert seen.get("error") is None, seen["error"]
    painted = {kind: seen["painted"][path.rsplit("/", 1)[-1]] for kind, path in paths.items()}
    assert {kind: found["failure"] for kind, found in painted.items()} == dict.fromkeys(images)
    assert not [kind for kind, found in painted.items() if found["levels"] <= LEVELS]


def compressed(path: Path, transfer_syntax_uid: str, encode: Callable[[NDArray[Any]], bytes]) -> Dataset:
    """A single-frame image in another transfer syntax."""
    read = dcmread(path)
    read.PixelData = encapsulate([encode(read.pixel_array.view("uint16"))])
    read["PixelData"].VR, read["PixelData"].is_undefined_length = "OB", True
    read.file_meta.TransferSyntaxUID = transfer_syntax_uid
    return read
