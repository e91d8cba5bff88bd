"""The registry of object stores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage.objects import SCHEMES, open_store
from storage.objects.s3.settings import S3Settings

SETTINGS = S3Settings(endpoint="127.0.0.1:1", bucket="bucket", access_key="access", secret_key="secret", tls=False)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_opens_a_store_without_talking_to_anybody(scheme: str, tmp_path: Path) -> None:
    open_store(scheme, tmp_path, SETTINGS).close()


def test_a_local_store_does_not_load_the_s3_sdk() -> None:
    program = "import sys, storage.objects.local, storage.objects.s3; sys.exit('minio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
