"""Whatever the OpenAPI document allows, or nearly allows: a real server answers, and only as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dicomweb.resources import RESOURCES
from tests.dicomweb.web import OTHER_SERIES, OTHER_STUDY, ROOT, SERIES, STUDY, fill, open_web, serving

EXAMPLES = 12  # of each operation and mode
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
REAL = [
    {"study": STUDY, "series": SERIES, "instance": f"{SERIES}.1", "frames": "1", "path": "7FE00010"},
    {
        "study": OTHER_STUDY,
        "series": OTHER_SERIES,
        "instance": f"{OTHER_SERIES}.1",
        "frames": "1,1",
        "path": "00100010",
    },
    {"study": STUDY, "series": OTHER_SERIES},
]
REAL_QUERY = {"requestType": "WADO", "studyUID": STUDY, "seriesUID": SERIES, "objectUID": f"{SERIES}.1"}


@schemathesis.serializer("application/dicom", "multipart/related")
def as_bytes(_context: SerializationContext, value: Any) -> bytes:
    """A body of any kind is bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


@dataclass(frozen=True)
class Api:
    """A running server with two studies, and its document as schemathesis reads it."""

    schema: Any
    session: requests.Session


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with open_web(tmp_path_factory.mktemp("fuzz")) as web:
        fill(web)
        with serving(web.archive) as url, requests.Session() as session:
            yield Api(schemathesis.openapi.from_url(f"{url.removesuffix(ROOT)}/openapi.json"), session)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", [resource.name for resource in RESOURCES])
def test_an_operation_answers_as_documented(api: Api, name: str, mode: GenerationMode) -> None:
    operation = api.schema.find_operation_by_id(name)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(case=operation.as_strategy(generation_mode=mode), real=st.sampled_from([{}, *REAL]), by_query=st.booleans())
    def probe(case: Any, real: dict[str, str], by_query: bool) -> None:
        case.path_parameters.update({key: value for key, value in real.items() if key in case.path_parameters})
        if by_query and "objectUID" in {one.name for one in operation.query}:
            case.query.update(REAL_QUERY)
        case.query.pop("override-retention", None)  # the studies shall stay
        case.call_and_validate(session=api.session, checks=CHECKS)

    probe()
