"""A whole-slide microscopy pyramid (PS3.3 §A.32.8): one instance a level, JPEG tiles, an ICC profile."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from sample_data.build import Study, Uids, code, data_set, item, set_transfer_syntax

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
TILE = 256
FINEST_MM = 0.001  # of one pixel at the base of the pyramid


def tissue(size: int) -> NDArray[np.uint8]:
    """A stained section of sorts: pink ground, purple nuclei in glands; (size, size, 3) RGB."""
    chance = np.random.default_rng(17)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    image = np.empty((size, size, 3), np.float32)
    image[:] = (236, 190, 214)
    image[np.hypot(x - 0.5, y - 0.5) > 0.46] = (246, 244, 247)
    for _ in range(90):
        cx, cy, radius = chance.uniform(0.12, 0.88), chance.uniform(0.12, 0.88), chance.uniform(0.015, 0.04)
        distance = np.hypot(x - cx, y - cy)
        image[distance < radius] = (250, 240, 246)
        image[np.abs(distance - radius) < 0.006] = (120, 70, 150)
    image += chance.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def pyramid(study: Study, uids: Uids, base: int = 1024) -> Iterator[Dataset]:
    """Levels from the finest: `base`, half of it, ... down to one tile."""
    image = Image.fromarray(tissue(base))
    series, reference, size, number = uids.new(), uids.new(), base, 1
    while size >= TILE:
        yield _level(study, series, reference, uids.new(), image.resize((size, size)), number, base)
        size, number = size // 2, number + 1


def _level(study: Study, series: str, reference: str, uid: str, image: Image.Image, number: int, base: int) -> Dataset:
    made = data_set(study, WHOLE_SLIDE, "SM", series, 1, uid)
    size = image.width
    made.InstanceNumber, made.FrameOfReferenceUID, made.PositionReferenceIndicator = number, reference, "SLIDE_CORNER"
    made.ImageType = [*(("ORIGINAL", "PRIMARY") if size == base else ("DERIVED", "PRIMARY")), "VOLUME",
                      "NONE" if size == base else "RESAMPLED"]  # fmt: skip
    made.AcquisitionDateTime = study.date + study.time
    made.ContainerIdentifier, made.IssuerOfTheContainerIdentifierSequence = "SLIDE-1", Sequence()
    made.ContainerTypeCodeSequence = code("433466003", "SCT", "Microscope slide")
    made.AcquisitionContextSequence = Sequence()
    made.SpecimenDescriptionSequence = Sequence([
        item(SpecimenIdentifier="SPECIMEN-1", SpecimenUID=f"{series[:-4]}.1",
             IssuerOfTheSpecimenIdentifierSequence=Sequence(), SpecimenPreparationSequence=Sequence())
    ])  # fmt: skip
    made.VolumetricProperties, made.BurnedInAnnotation, made.FocusMethod = "VOLUME", "NO", "AUTO"
    made.ExtendedDepthOfField, made.SpecimenLabelInImage = "NO", "NO"
    made.ImagedVolumeWidth = made.ImagedVolumeHeight = base * FINEST_MM
    made.ImagedVolumeDepth = 1.0
    made.TotalPixelMatrixColumns = made.TotalPixelMatrixRows = size
    made.TotalPixelMatrixFocalPlanes, made.NumberOfOpticalPaths = 1, 1
    made.TotalPixelMatrixOriginSequence = Sequence([
        item(XOffsetInSlideCoordinateSystem="20", YOffsetInSlideCoordinateSystem="40")
    ])  # fmt: skip
    made.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    made.DimensionOrganizationType = "TILED_FULL"
    made.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=f"{series[:-4]}.2")])
    made.OpticalPathSequence = Sequence([_optical_path()])
    made.SharedFunctionalGroupsSequence = Sequence([_shared(size, base)])
    _set_tiles(made, image)
    return made


def _optical_path() -> Dataset:
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # type: ignore[no-untyped-call]
    profile = profile[:24] + b"\0" * 12 + profile[36:]  # its date of creation: the same bytes for the same seed
    return item(
        OpticalPathIdentifier="1", IlluminationTypeCodeSequence=code("111744", "DCM", "Brightfield illumination"),
        IlluminationColorCodeSequence=code("414298005", "SCT", "Full Spectrum"),
        ICCProfile=profile + b"\0" * (len(profile) % 2), ColorSpace="SRGB",
    )  # fmt: skip


def _shared(size: int, base: int) -> Dataset:
    spacing = FINEST_MM * base / size
    return item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[spacing, spacing], SliceThickness="0.001")]),
        WholeSlideMicroscopyImageFrameTypeSequence=Sequence([
            item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
        ]),
        OpticalPathIdentificationSequence=Sequence([item(OpticalPathIdentifier="1")]),
    )  # fmt: skip


def _set_tiles(made: Dataset, image: Image.Image) -> None:
    """Row by row (PS3.3 §C.7.6.17.3), JPEG baseline, chrominance halved horizontally."""
    corners = [(left, top) for top in range(0, image.height, TILE) for left in range(0, image.width, TILE)]
    streams = []
    for left, top in corners:
        stream = io.BytesIO()
        image.crop((left, top, left + TILE, top + TILE)).save(stream, "JPEG", quality=85, subsampling="4:2:2")
        streams.append(stream.getvalue())
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_FULL_422", 0
    made.NumberOfFrames, made.Rows, made.Columns = len(streams), TILE, TILE
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.LossyImageCompressionRatio = f"{3 * image.width * image.height / sum(map(len, streams)):.2f}"
    made.add_new("PixelData", "OB", encapsulate(streams))
    made["PixelData"].is_undefined_length = True
    set_transfer_syntax(made, JPEGBaseline8Bit)
