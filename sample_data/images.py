"""One function an information object: CT, MR, CR, ultrasound multi-frame, enhanced CT (PS3.3 annex A)."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from sample_data import phantom
from sample_data.build import Study, Uids, code, data_set, item, set_pixels

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
MR, CR, US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.3.1"
FIELD_OF_VIEW_MM = 240.0
SPACING_MM = 5.0
AXIAL = [1, 0, 0, 0, 1, 0]


def _position(number: int) -> list[float]:
    return [-FIELD_OF_VIEW_MM / 2, -FIELD_OF_VIEW_MM / 2, number * SPACING_MM]


def _plane(made: Dataset, number: int, size: int, frame_of_reference: str) -> None:
    """Frame of Reference and Image Plane (PS3.3 §C.7.4.1, §C.7.6.2)."""
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = frame_of_reference, ""
    made.PatientPosition = "HFS"
    made.PixelSpacing = [FIELD_OF_VIEW_MM / size] * 2
    made.SliceThickness, made.SliceLocation = SPACING_MM, number * SPACING_MM
    made.ImageOrientationPatient, made.ImagePositionPatient = AXIAL, _position(number)
    made.InstanceNumber, made.AcquisitionNumber = number + 1, 1
    made.BodyPartExamined = "HEAD"


def ct_slice(study: Study, series: str, reference: str, uid: str, number: int, count: int, size: int) -> Dataset:
    """CT Image (PS3.3 §A.3)."""
    made = data_set(study, CT, "CT", series, 1, uid)
    _plane(made, number, size, reference)
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.KVP, made.ExposureTime, made.XRayTubeCurrent, made.ConvolutionKernel = "120", 1000, 250, "H31"
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = "-1024", "1", "HU"
    made.WindowCenter, made.WindowWidth = "40", "90"
    set_pixels(made, (phantom.hounsfield(number, count, size) + 1024).astype(np.uint16), bits_stored=12)
    return made


def mr_slice(study: Study, series: str, reference: str, uid: str, number: int, count: int, size: int) -> Dataset:
    """MR Image (PS3.3 §A.4)."""
    made = data_set(study, MR, "MR", series, 1, uid)
    _plane(made, number, size, reference)
    made.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    made.ScanningSequence, made.SequenceVariant, made.ScanOptions, made.MRAcquisitionType = "SE", "NONE", "", "2D"
    made.RepetitionTime, made.EchoTime, made.EchoTrainLength = "600", "12", 1
    made.MagneticFieldStrength = "1.5"
    made.WindowCenter, made.WindowWidth = "450", "900"
    set_pixels(made, phantom.magnetic(number, count, size), bits_stored=12)
    return made


def radiograph(study: Study, series: str, uid: str, size: int) -> Dataset:
    """Computed Radiography Image (PS3.3 §A.2), MONOCHROME1 as many readers deliver it."""
    made = data_set(study, CR, "CR", series, 1, uid)
    made.BodyPartExamined, made.ViewPosition, made.PatientOrientation = "CHEST", "PA", ["L", "F"]
    made.ImageType, made.InstanceNumber = ["ORIGINAL", "PRIMARY"], 1
    made.ImagerPixelSpacing = [0.4, 0.4]
    made.PhotometricInterpretation = "MONOCHROME1"
    made.WindowCenter, made.WindowWidth = "2200", "3000"
    set_pixels(made, phantom.chest(size), bits_stored=12)
    return made


def ultrasound_loop(study: Study, series: str, uid: str, frames: int) -> Dataset:
    """Ultrasound Multi-frame Image (PS3.3 §A.7), RGB."""
    made = data_set(study, US_MULTI_FRAME, "US", series, 1, uid)
    made.ImageType, made.InstanceNumber, made.PatientOrientation = ["ORIGINAL", "PRIMARY"], 1, ""
    made.Laterality = ""
    made.FrameTime, made.FrameIncrementPointer = "40", 0x00181063
    made.LossyImageCompression = "00"
    set_pixels(made, phantom.ultrasound(frames, 240, 320))
    return made


def enhanced_ct(study: Study, series: str, reference: str, uid: str, count: int, size: int) -> Dataset:
    """Enhanced CT Image (PS3.3 §A.38): all slices as frames of one object, positions in functional groups."""
    made = data_set(study, ENHANCED_CT, "CT", series, 2, uid)
    when = study.date + study.time
    made.FrameOfReferenceUID, made.PositionReferenceIndicator, made.PatientPosition = reference, "", "HFS"
    made.ImageType, made.InstanceNumber = ["DERIVED", "PRIMARY", "VOLUME", "NONE"], 1
    made.PixelPresentation, made.VolumetricProperties, made.VolumeBasedCalculationTechnique = (
        "MONOCHROME",
        "VOLUME",
        "NONE",
    )
    made.ContentQualification, made.AcquisitionDateTime, made.AcquisitionDuration = "RESEARCH", when, 1000.0
    made.BurnedInAnnotation, made.LossyImageCompression, made.PresentationLUTShape = "NO", "00", "IDENTITY"
    made.AcquisitionContextSequence = Sequence()
    organization = f"{uid[:-4]}.1"
    made.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=organization)])
    made.DimensionIndexSequence = Sequence([
        item(DimensionOrganizationUID=organization, DimensionIndexPointer=0x00209057,
              FunctionalGroupPointer=0x00209111)
    ])  # fmt: skip
    made.SharedFunctionalGroupsSequence = Sequence([_shared_groups(size, f"{uid[:-4]}.2")])
    made.PerFrameFunctionalGroupsSequence = Sequence([_frame_groups(when, number) for number in range(count)])
    volume = np.stack([phantom.hounsfield(number, count, size) for number in range(count)])
    del made.AcquisitionDate, made.AcquisitionTime  # this kind has AcquisitionDateTime
    set_pixels(made, (volume + 1024).astype(np.uint16), bits_stored=12)
    return made


def _shared_groups(size: int, event: str) -> Dataset:
    spacing = [FIELD_OF_VIEW_MM / size] * 2
    return item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=spacing, SliceThickness=SPACING_MM)]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=AXIAL)]),
        FrameAnatomySequence=Sequence([
            item(FrameLaterality="U", AnatomicRegionSequence=code("69536005", "SCT", "Head"))
        ]),
        CTImageFrameTypeSequence=Sequence([item(
            FrameType=["DERIVED", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE",
        )]),
        PixelValueTransformationSequence=Sequence([
            item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
        ]),
        IrradiationEventIdentificationSequence=Sequence([item(IrradiationEventUID=event)]),
        FrameVOILUTSequence=Sequence([item(WindowCenter="40", WindowWidth="90")]),
    )  # fmt: skip


def _frame_groups(when: str, number: int) -> Dataset:
    return item(
        FrameContentSequence=Sequence([item(
            FrameAcquisitionNumber=1, FrameReferenceDateTime=when, FrameAcquisitionDateTime=when,
            FrameAcquisitionDuration=100.0, DimensionIndexValues=[number + 1], StackID="1",
            InStackPositionNumber=number + 1,
        )]),
        PlanePositionSequence=Sequence([item(ImagePositionPatient=_position(number))]),
    )  # fmt: skip


def new_series(uids: Uids) -> tuple[str, str]:
    """A Series Instance UID and a Frame of Reference UID."""
    return uids.new(), uids.new()
