"""`python -m sample_data.generate OUT`: small studies as Part 10 files, the same bytes for the same seed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from sample_data import images, mammography, reports, slides
from sample_data.build import Study, Uids, name_in_iso_ir_58, write

SEED = 20260105
SLICES = 24


def studies(seed: int = SEED) -> Iterator[tuple[str, Dataset]]:
    """(file name below OUT, data set) of everything."""
    uids = Uids(seed)
    ct = Study(patient_name="Demo^Ada", patient_id="DEMO-001", study_uid=uids.new(), accession_number="A1001",
               description="CT head", sex="F")  # fmt: skip
    slices = list(_ct("ct-head", ct, uids, 256))
    yield from slices
    series, reference = images.new_series(uids)
    yield "ct-head/enhanced.dcm", images.enhanced_ct(ct, series, reference, uids.new(), 16, 128)

    mr = Study(patient_name="Demo^Ben", patient_id="DEMO-002", study_uid=uids.new(), accession_number="A1002",
               description="MR head", date="20260106", sex="M")  # fmt: skip
    series, reference = images.new_series(uids)
    for number in range(SLICES):
        yield f"mr-head/{number:03d}.dcm", images.mr_slice(mr, series, reference, uids.new(), number, SLICES, 192)

    cr = Study(patient_name="Demo^Cleo", patient_id="DEMO-003", study_uid=uids.new(), accession_number="A1003",
               description="CR chest", date="20260107", sex="F")  # fmt: skip
    yield "cr-chest/000.dcm", images.radiograph(cr, uids.new(), uids.new(), 512)

    us = Study(patient_name="Demo^Dan", patient_id="DEMO-004", study_uid=uids.new(), accession_number="A1004",
               description="US heart", date="20260108", sex="M")  # fmt: skip
    yield "us-heart/000.dcm", images.ultrasound_loop(us, uids.new(), uids.new(), 20)

    yield from _ct("gb18030", Study(
        patient_name="Wang^XiaoDong=王^小东", patient_id="DEMO-005", study_uid=uids.new(), accession_number="A1005",
        description="头部平扫", date="20260109", referring_physician="Li^Ming=李^明", character_set="GB18030",
    ), uids, 128, slices=4)  # fmt: skip
    yield from _ct("iso-2022-ir-58", Study(
        patient_name=name_in_iso_ir_58("Zhang^XiaoDong", "张^小东"), patient_id="DEMO-006",
        study_uid=uids.new(), accession_number="A1006",
        description="CT head", date="20260110", character_set=["", "ISO 2022 IR 58"],
    ), uids, 128, slices=4)  # fmt: skip
    yield from _ct("utf-8", Study(
        patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう", patient_id="DEMO-007", study_uid=uids.new(),
        accession_number="A1007", description="CT 頭部", date="20260111",
    ), uids, 128, slices=4)  # fmt: skip

    found = [made for _, made in slices]
    yield "ct-head/bleeding.dcm", reports.segmentation(ct, uids.new(), uids.new(), found)
    yield "ct-head/report.dcm", reports.report(ct, uids.new(), uids.new(), found[SLICES // 2])
    yield "ct-head/letter.dcm", reports.letter(ct, uids.new(), uids.new())
    slide = Study(patient_name="Demo^Eve", patient_id="DEMO-008", study_uid=uids.new(), accession_number="A1008",
                  description="Gastric biopsy", date="20260112", sex="F")  # fmt: skip
    for number, level in enumerate(slides.pyramid(slide, uids), start=1):
        yield f"slide/level-{number}.dcm", level
    mg = Study(patient_name="Demo^Gwen", patient_id="DEMO-010", study_uid=uids.new(), accession_number="A1010",
               description="MG screening", date="20260113", sex="F")  # fmt: skip
    for number, view in enumerate(mammography.screening(mg, uids)):
        yield f"mg-screening/{number:03d}.dcm", view


def _ct(folder: str, study: Study, uids: Uids, size: int, slices: int = SLICES) -> Iterator[tuple[str, Dataset]]:
    series, reference = images.new_series(uids)
    for number in range(slices):
        yield (
            f"{folder}/{number:03d}.dcm",
            images.ct_slice(study, series, reference, uids.new(), number, slices, size),
        )


def generate(folder: Path, seed: int = SEED) -> list[Path]:
    """Write all files below `folder`; returns their paths."""
    return [write(made, folder / name) for name, made in studies(seed)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    files = generate(arguments.out, arguments.seed)
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB below {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
