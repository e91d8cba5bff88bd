"""PS3.18 Annex F: the metadata of every real file that DCMTK can read too, held against its dcm2json.

`tests.bridge.corpus.differences` says what is never compared. Beyond that, as the standard allows or for its limits,
dcm2json drops empty components at the end of names, takes the VRs of some private elements from its own dictionary,
pads odd lengths, does not decode ISO 2022 text inside of items, and leaves known attributes that came as UN as UN.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.errors import InvalidInstance
from tests.bridge.corpus import before_fragments, differences, files, read, scanned
from tests.conftest import Dcmtk

FILES = {name: path for name, path in files().items() if "dicomdirtests" not in name and "DICOMDIR" not in name}
PRIVATE_VR = re.compile(r"(?:.*/)?[0-9A-F]{3}[13579BDF][0-9A-F]{4} vr UN is .* with them")
PASSED_ON_AS_UN = re.compile(r".* vr [A-Z]{2} is UN with them")
TOLERATED = {
    "nested_priv_SQ.dcm": "an odd length is padded",
    "chrSQEncoding.dcm": "ISO 2022 IR 87 is not decoded inside of items",
}


def prepared(parsed: dict[str, Any]) -> dict[str, Any]:
    """`parsed` with names as dcm2json writes them."""
    ready: dict[str, Any] = {}
    for key, element in parsed.items():
        values = element.get("Value", [])
        if element["vr"] == "SQ":
            element = {**element, "Value": [prepared(item) for item in values]}
        elif element["vr"] == "PN":
            names = [{group: text.rstrip("^ ") for group, text in (name or {}).items()} for name in values]
            element = {**element, "Value": names}
        ready[key] = element
    return ready


@pytest.mark.parametrize("name", sorted(FILES))
def test_ps3_18_f_metadata_are_those_dcmtk_writes(name: str, dcmtk: Dcmtk, tmp_path: Path) -> None:
    known = read(FILES[name])
    if known is None or any(name.endswith(tolerated) for tolerated in TOLERATED):
        pytest.skip("no usable file meta, or a limit of dcm2json")
    meta, data_set = known
    try:
        data_set = before_fragments(data_set, meta.transfer_syntax_uid)  # dcm2json refuses compressed pixel data
    except InvalidInstance:
        pytest.skip("refused by both: see the tests against pydicom")
    file = tmp_path / "object.dcm"
    file.write_bytes(FILES[name].read_bytes()[: meta.data_set_offset] + data_set)
    answer = dcmtk.run("dcm2json", "-fc", file)
    if answer.returncode:
        pytest.skip("DCMTK cannot read this, or cannot write its text as UTF-8")
    ours, theirs = prepared(scanned(data_set, meta.transfer_syntax_uid)), prepared(orjson.loads(answer.stdout))
    wrong = [line for line in differences(ours, theirs) if not PASSED_ON_AS_UN.fullmatch(line)]
    assert [line for line in wrong if not PRIVATE_VR.fullmatch(line)] == []
