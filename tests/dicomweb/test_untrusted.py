"""What a browser may do with what strangers stored."""

from __future__ import annotations

import pytest

from dicomweb.untrusted import guards


@pytest.mark.parametrize(
    "media_type", ["text/html; charset=utf-8", "TEXT/HTML", "image/svg+xml", "text/xml", "application/xhtml+xml", "x/y"]
)
def test_what_could_run_is_kept_from_running(media_type: str) -> None:
    names = dict(guards(media_type))
    assert b"sandbox" in names[b"content-security-policy"]
    assert b"script-src" not in names[b"content-security-policy"]  # default-src 'none' covers it


@pytest.mark.parametrize(
    "media_type", ["image/png", "video/mp4", "application/pdf", "application/octet-stream", "application/dicom"]
)
def test_what_is_only_shown_is_sent_as_it_is(media_type: str) -> None:
    assert guards(media_type) == [(b"x-content-type-options", b"nosniff")]
