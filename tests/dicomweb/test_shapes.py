"""The short way to an endpoint leads where the framework's router would."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb.app import ROUTES
from dicomweb.resources import BASE
from dicomweb.shapes import Shapes

TEMPLATES = list(dict.fromkeys(path for path, *_ in ROUTES))
PLAIN = [template for template in TEMPLATES if ":path" not in template and template != BASE]  # those go to the router


@pytest.mark.parametrize("root", ["", "/dicom-web", "/a/b"])
@pytest.mark.parametrize("template", PLAIN)
def test_every_template_finds_itself_with_its_parameters(root: str, template: str) -> None:
    shapes = Shapes(root, [(path, path) for path in TEMPLATES])
    names = re.findall(r"\{(\w+)\}", template)
    path = root + re.sub(r"\{(\w+)\}", r"value-of-\1", template)
    assert shapes.find(path) == (template, {name: f"value-of-{name}" for name in names})


@given(
    st.lists(
        st.sampled_from(["studies", "series", "instances", "metadata", "frames", "1.2", "", "x", "bulkdata", ".."]),
        max_size=9,
    )
)
def test_what_is_found_is_what_a_regular_expression_finds(segments: list[str]) -> None:
    path = "/dicom-web/" + "/".join(segments)
    patterns = {template: re.sub(r"\{(\w+)\}", r"[^/]+", template) for template in PLAIN}
    expected = [template for template, pattern in patterns.items() if re.fullmatch("/dicom-web" + pattern, path)]
    found = Shapes("/dicom-web", [(template, template) for template in TEMPLATES]).find(path)
    assert ([] if found is None else [found[0]]) == expected
