"""Settings: one file, the environment, secrets from files; an unknown key names the nearest known one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import environment_name, known_names, load, shown
from bridge.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return path


def test_no_file_at_all_is_a_working_single_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(environ={})
    assert (settings.storage.hot, settings.index.url) == ("local", "sqlite")
    assert (settings.dimse.host, settings.dimse.port, settings.dimse.ae_title) == ("127.0.0.1", 11112, "BRIDGE")
    assert (settings.http.host, settings.http.port, settings.http.root) == ("127.0.0.1", 8080, "/dicom-web")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[dimse]\nport = 104\nae_title = 'PACS'\n")
    settings = load(path, {"BRIDGE_DIMSE_PORT": "11113"})
    assert settings.dimse.port == 11113
    assert settings.dimse.ae_title == "PACS"


def test_every_setting_has_an_environment_variable() -> None:
    names = known_names()
    assert len({environment_name(name) for name in names}) == len(names) > 80


def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.s3_buckett; did you mean storage\.s3_bucket\?"):
        load(write(tmp_path, "[storage]\ns3_buckett = 'x'\n"), {})
    with pytest.raises(ConfigError, match=r"BRIDGE_DIMSE_PORTT; did you mean BRIDGE_DIMSE_PORT\?"):
        load(None, {"BRIDGE_DIMSE_PORTT": "1"})


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    settings = load(write(tmp_path, ""), {"BRIDGE_STORAGE_S3_SECRET_KEY_FILE": str(secret)})
    assert settings.storage.s3_secret_key == "s3cret"
    rows = {name: (value, source) for name, value, source in shown(settings)}
    assert rows["storage.s3_secret_key"] == ("********", "BRIDGE_STORAGE_S3_SECRET_KEY_FILE")
    assert "s3cret" not in str(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[storage]\nhot = 'tape'", "local, s3, memory"),
        ("[dimse]\nport = 'high'", "not a number"),
        ("[dimse]\nport = -1", "not be negative"),
        ("[http]\nrequire_key = 'perhaps'", "true or false"),
        ("storage = 1", "must be a table"),
        ("[[peers]]\nname = 'x'", "incomplete"),
        ("[[peers]]\nname='x'\nae_title='X'\naddresses=1", "must be a list"),
        ("= 1", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, text), {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml", {})


def test_peers_come_from_the_file(tmp_path: Path) -> None:
    settings = load(
        write(tmp_path, "[[peers]]\nname='ct1'\nae_title='CT01'\naddresses=['10.0.0.0/8']\nservices=['store']\n"), {}
    )
    assert settings.peers[0].addresses == ("10.0.0.0/8",)
    assert settings.peers[0].site == ""


def test_lists_come_from_the_environment_separated_by_commas() -> None:
    assert load(None, {"BRIDGE_HTTP_CORS_ORIGINS": "https://a, https://b"}).http.cors_origins == (
        "https://a",
        "https://b",
    )
