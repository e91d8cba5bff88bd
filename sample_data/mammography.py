"""A screening mammogram: both breasts from above and from the side (PS3.3 §A.26), drawn with numpy, seeded noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless

from sample_data.build import Study, Uids, code, data_set, set_pixels, set_transfer_syntax

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"  # Digital Mammography X-Ray Image Storage - For Presentation
ROWS, COLUMNS, SPACING_MM = 2294, 1914, 0.1
COARSE = 8  # tissue is drawn this much coarser than the detector sees it
BITS = 12


@dataclass(frozen=True, slots=True)
class View:
    """One exposure. `orientation` is where rows and columns lead to, `angle` the positioner's, in degrees."""

    laterality: str
    position: str
    view_code: tuple[str, str]
    orientation: tuple[str, str]
    angle: str


CRANIO_CAUDAL = ("399162004", "cranio-caudal")
OBLIQUE = ("399368009", "medio-lateral oblique")
VIEWS = (
    View("R", "CC", CRANIO_CAUDAL, ("P", "L"), "0"),
    View("L", "CC", CRANIO_CAUDAL, ("A", "R"), "0"),
    View("R", "MLO", OBLIQUE, ("P", "FL"), "45"),
    View("L", "MLO", OBLIQUE, ("A", "FR"), "45"),
)


def screening(study: Study, uids: Uids) -> Iterator[Dataset]:
    """The four views, a series each, JPEG-LS lossless."""
    for number, view in enumerate(VIEWS, start=1):
        yield _image(study, uids.new(), uids.new(), view, number)


def _image(study: Study, series: str, uid: str, view: View, number: int) -> Dataset:
    """DX Series, DX Anatomy Imaged, DX Image, DX Detector, Mammography Image (PS3.3 §C.8.11)."""
    made = data_set(study, MAMMOGRAM, "MG", series, number, uid)
    made.SeriesDescription, made.InstanceNumber = f"{view.laterality} {view.position}", 1
    made.PresentationIntentType, made.ImageType = "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
    made.ImageLaterality, made.BodyPartExamined, made.OrganExposed = view.laterality, "BREAST", "BREAST"
    made.AnatomicRegionSequence = code("76752008", "SCT", "Breast")
    made.ViewPosition, made.PatientOrientation = view.position, list(view.orientation)
    made.ViewCodeSequence = code(view.view_code[0], "SCT", view.view_code[1])
    made.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    made.PositionerType, made.PositionerPrimaryAngle = "MAMMOGRAPHIC", view.angle
    made.DetectorType, made.ImagerPixelSpacing = "DIRECT", [SPACING_MM] * 2
    made.KVP, made.ExposureInuAs, made.AnodeTargetMaterial, made.FilterMaterial = "29", 71000, "RHODIUM", "RHODIUM"
    made.BodyPartThickness, made.CompressionForce, made.BreastImplantPresent = "53", "110", "NO"
    made.PixelIntensityRelationship, made.PixelIntensityRelationshipSign = "LOG", -1
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = "0", "1", "US"
    made.PresentationLUTShape, made.BurnedInAnnotation, made.LossyImageCompression = "IDENTITY", "NO", "00"
    made.AcquisitionContextSequence = Sequence()
    made.WindowCenter, made.WindowWidth = "1700", "2600"
    pixels = breast(view)
    set_pixels(made, pixels, bits_stored=BITS)
    made.PixelData = encapsulate([imagecodecs.jpegls_encode(pixels)], has_bot=False)
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    set_transfer_syntax(made, JPEGLSLossless)
    return made


def breast(view: View) -> NDArray[np.uint16]:
    """(ROWS, COLUMNS) of 12 bits, bright where X-rays are held up; air is 0. A left breast points to the right."""
    seed = VIEWS.index(view)
    fine = _enlarged(_tissue(view.position == "MLO", seed))
    noise = np.random.default_rng(seed).normal(0, 6, fine.shape).astype(np.float32)
    image = np.where(fine > 1, fine + noise * np.sqrt(fine / 1500), 0)
    if view.laterality == "R":
        _add_calcifications(image, *((1150, 760) if view.position == "CC" else (1190, 800)))
        image = image[:, ::-1]
    return np.clip(image, 0, 2**BITS - 1).astype(np.uint16)


def _tissue(is_oblique: bool, seed: int) -> NDArray[np.float32]:
    """A left breast at 1 / COARSE of the resolution, its chest wall on the left."""
    rows, columns = -(-ROWS // COARSE) + 1, -(-COLUMNS // COARSE) + 1
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, columns, dtype=np.float32)[None, :]
    centre, half, depth = (0.12, 0.78, 0.74) if is_oblique else (0.0, 0.80, 0.70)
    across = np.abs((y - centre) / half)
    outline = (x / depth) ** 2.1 + across**2.3  # 1 at the skin
    nipple = np.hypot((x - depth + 0.008) / 0.026, (y - centre) / 0.024) < 1
    if is_oblique:  # the skin goes on upwards to the armpit
        above = np.clip(centre - y, 0, None)
        outline = np.where(above > 0, (x / (depth - 0.375 * above**1.6)) ** 2.1, outline)
    inside = np.clip(1 - outline, 0, 1)
    thickness = np.clip(inside * 3.5, 0, 1) ** 0.6
    texture = _cloud(rows, columns, seed)
    fan = np.exp(-((across / (0.25 + 0.75 * np.clip((depth - x) / depth, 0, 1))) ** 2) * 1.6)
    gland = fan * np.exp(-(((x - 0.55 * depth) / (0.42 * depth)) ** 4))
    strands = np.clip(texture + 0.9 * gland - 0.25, 0, None)
    image = thickness * (820 + 260 * texture + 950 * np.tanh(1.4 * strands) * (0.35 + gland))
    image += 520 * np.exp(-(((outline - 0.985) / 0.02) ** 2)) * (outline < 1)  # skin
    image = np.where(nipple, np.maximum(image, 950), image)
    if is_oblique:
        muscle = 0.5 - 0.5 * np.tanh((x - 0.42 + 0.44 * (y + 1)) / 0.016)
        image += muscle * (outline < 1) * (900 + 120 * texture)
    return np.where((outline < 1) | nipple, np.maximum(image, 2), 0).astype(np.float32)


def _cloud(rows: int, columns: int, seed: int) -> NDArray[np.float32]:
    """Noise whose spectrum falls as that of breast tissue does, about -1 to 1."""
    chance = np.random.default_rng(1000 + seed)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(chance.normal(0, 1, (rows, columns))) / np.maximum(frequency, 0.008) ** 1.5
    spectrum[0, 0] = 0
    made = np.fft.irfft2(spectrum, (rows, columns))
    cloud: NDArray[np.float32] = np.tanh(made / (1.6 * made.std())).astype(np.float32)
    return cloud


def _enlarged(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear interpolation to the detector's pixels."""
    for size in (ROWS, COLUMNS):  # along the first axis, turned each time
        at = np.arange(size, dtype=np.float32) / COARSE
        first, share = at.astype(int), (at % 1)[:, None]
        coarse = (coarse[first] * (1 - share) + coarse[first + 1] * share).T
    return coarse


def _add_calcifications(image: NDArray[np.float32], row: int, column: int) -> None:
    """A cluster of bright specks of a few tenths of a millimetre, to have something to find."""
    chance = np.random.default_rng(23)
    for _ in range(14):
        at, left = int(row + chance.normal(0, 28)), int(column + chance.normal(0, 28))
        size = int(chance.integers(2, 5))
        image[at : at + size, left : left + size] += chance.uniform(700, 1400)
