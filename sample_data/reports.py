"""What refers to images: a segmentation, a structured report, and a letter as PDF (PS3.3 §A.51, §A.35.3, §A.45.1)."""

from __future__ import annotations

from collections.abc import Sequence as Many

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence

from sample_data import phantom
from sample_data.build import Study, code, data_set, item

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def segmentation(study: Study, series: str, uid: str, slices: Many[Dataset]) -> Dataset:
    """A binary segmentation of the bleeding, one frame a slice that shows it."""
    made = data_set(study, SEGMENTATION, "SEG", series, 3, uid)
    count, size = len(slices), slices[0].Rows
    masks = {number: mask for number in range(count) if (mask := phantom.bleeding(number, count, size)).any()}
    first = slices[0]
    made.ImageType, made.InstanceNumber, made.ContentLabel = ["DERIVED", "PRIMARY"], 1, "BLEEDING"
    made.ContentDescription, made.ContentCreatorName, made.SeriesDescription = "Bleeding", "Demo^Reader", "Bleeding"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = first.FrameOfReferenceUID, ""
    made.SegmentationType, made.SegmentsOverlap, made.BurnedInAnnotation = "BINARY", "NO", "NO"
    made.LossyImageCompression = "00"
    organization = f"{uid[:-4]}.1"
    made.DimensionOrganizationSequence = Sequence([item(DimensionOrganizationUID=organization)])
    made.DimensionIndexSequence = Sequence([
        item(DimensionOrganizationUID=organization, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
        for pointer, group in ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113))
    ])  # fmt: skip
    made.SegmentSequence = Sequence([_segment()])
    made.ReferencedSeriesSequence = Sequence([
        item(SeriesInstanceUID=first.SeriesInstanceUID, ReferencedInstanceSequence=Sequence(map(_reference, slices)))
    ])  # fmt: skip
    made.SharedFunctionalGroupsSequence = Sequence([item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=first.ImageOrientationPatient)]),
        PixelMeasuresSequence=Sequence([
            item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness,
                 SpacingBetweenSlices=first.SliceThickness)
        ]),
    )])  # fmt: skip
    made.PerFrameFunctionalGroupsSequence = Sequence([
        _frame(slices[number], index) for index, number in enumerate(masks, start=1)
    ])  # fmt: skip
    made.NumberOfFrames, made.Rows, made.Columns, made.SamplesPerPixel = len(masks), size, size, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
    made.add_new("PixelData", "OB", pack_bits(np.stack(list(masks.values())).astype(np.uint8)))
    return made


def _segment() -> Dataset:
    return item(
        SegmentNumber=1, SegmentLabel="Bleeding", SegmentAlgorithmType="AUTOMATIC", SegmentAlgorithmName="threshold",
        SegmentedPropertyCategoryCodeSequence=code("49755003", "SCT", "Morphologically Abnormal Structure"),
        SegmentedPropertyTypeCodeSequence=code("50960005", "SCT", "Hemorrhage"),
        RecommendedDisplayCIELabValue=[34885, 53485, 50171],
    )  # fmt: skip


def _frame(image: Dataset, index: int) -> Dataset:
    purpose = code("121322", "DCM", "Source image for image processing operation")
    source = _reference(image)
    source.PurposeOfReferenceCodeSequence = purpose
    return item(
        DerivationImageSequence=Sequence([
            item(SourceImageSequence=Sequence([source]), DerivationCodeSequence=code("113076", "DCM", "Segmentation"))
        ]),
        FrameContentSequence=Sequence([item(DimensionIndexValues=[1, index])]),
        PlanePositionSequence=Sequence([item(ImagePositionPatient=image.ImagePositionPatient)]),
        SegmentIdentificationSequence=Sequence([item(ReferencedSegmentNumber=1)]),
    )  # fmt: skip


def _reference(image: Dataset) -> Dataset:
    return item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)


def report(study: Study, series: str, uid: str, image: Dataset) -> Dataset:
    """A finding, a measurement and the image it was made on."""
    made = data_set(study, COMPREHENSIVE_SR, "SR", series, 4, uid)
    made.InstanceNumber, made.CompletionFlag, made.VerificationFlag = 1, "COMPLETE", "UNVERIFIED"
    made.SeriesDescription, made.ReferencedPerformedProcedureStepSequence = "Report", Sequence()
    made.PerformedProcedureCodeSequence = Sequence()
    made.CurrentRequestedProcedureEvidenceSequence = Sequence([item(
        StudyInstanceUID=study.study_uid,
        ReferencedSeriesSequence=Sequence([
            item(SeriesInstanceUID=image.SeriesInstanceUID, ReferencedSOPSequence=Sequence([_reference(image)]))
        ]),
    )])  # fmt: skip
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = code("18747-6", "LN", "CT Report")
    volume = item(
        MeasurementUnitsCodeSequence=code("cm3", "UCUM", "cm3"), NumericValue="4.2",
    )  # fmt: skip
    made.ContentSequence = Sequence([
        item(RelationshipType="HAS OBS CONTEXT", ValueType="PNAME", PersonName="Demo^Reader",
             ConceptNameCodeSequence=code("121008", "DCM", "Person Observer Name")),
        item(RelationshipType="CONTAINS", ValueType="TEXT", TextValue="A bleeding in the right half. 右侧半球出血。",
             ConceptNameCodeSequence=code("121071", "DCM", "Finding")),
        item(RelationshipType="CONTAINS", ValueType="NUM", MeasuredValueSequence=Sequence([volume]),
             ConceptNameCodeSequence=code("118565006", "SCT", "Volume")),
        item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=Sequence([_reference(image)]),
             ConceptNameCodeSequence=code("121112", "DCM", "Source of Measurement")),
    ])  # fmt: skip
    return made


def letter(study: Study, series: str, uid: str) -> Dataset:
    """An encapsulated PDF of one page."""
    made = data_set(study, ENCAPSULATED_PDF, "DOC", series, 5, uid)
    made.InstanceNumber, made.ConversionType, made.BurnedInAnnotation = 1, "WSD", "NO"
    made.DocumentTitle, made.SeriesDescription = "Letter", "Letter"
    made.ConceptNameCodeSequence, made.MIMETypeOfEncapsulatedDocument = Sequence(), "application/pdf"
    body = pdf("DICOM bridge", "A letter from the demonstration, as PDF.")
    made.EncapsulatedDocumentLength = len(body)
    made.add_new("EncapsulatedDocument", "OB", body + b"\0" * (len(body) % 2))
    return made


def pdf(title: str, text: str) -> bytes:
    """A PDF 1.4 file: one A5 page, two lines of Helvetica. Plain ASCII without brackets only."""
    content = f"BT /F 24 Tf 40 520 Td ({title}) Tj 0 -40 Td /F 12 Tf ({text}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 595] /Contents 4 0 R"
        b" /Resources << /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    made, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)
