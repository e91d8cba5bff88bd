"""Every error of the hall has a row in the HTTP table."""

from __future__ import annotations

import orjson
import pytest

from bridge import access, errors
from dicomweb import problem


def subclasses(kind: type[errors.BridgeError]) -> list[type[errors.BridgeError]]:
    return [kind for child in kind.__subclasses__() for kind in (child, *subclasses(child))]


@pytest.mark.parametrize("kind", subclasses(errors.BridgeError))
def test_every_bridge_error_has_a_row(kind: type[errors.BridgeError]) -> None:
    assert any(parent in problem.STATUS for parent in kind.__mro__)


def test_the_table_is_that_of_the_design() -> None:
    expected = {
        errors.InvalidInstance: 400, errors.ClassMismatch: 409, errors.Conflict: 409, errors.Forbidden: 403,
        errors.NotFound: 404, errors.Gone: 410, errors.NotOnline: 503, errors.Held: 409, errors.NotAcceptable: 406,
        errors.OutOfResources: 507, errors.Unavailable: 503, access.Unauthenticated: 401,
    }  # fmt: skip
    assert expected.items() <= problem.STATUS.items()


def test_a_problem_is_a_json_object_with_its_sentence() -> None:
    body = orjson.loads(problem.body(404, "there is no such study"))
    assert body == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no such study"}


def test_bytes_that_are_not_online_say_when_to_come_back() -> None:
    assert problem.headers_of(errors.NotOnline("later", retry_after_s=30)) == [(b"retry-after", b"30")]
