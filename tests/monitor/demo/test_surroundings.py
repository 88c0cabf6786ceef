"""The demo's home is its own, and nothing of a real installation reaches its processes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from monitor.demo.surroundings import (
    environment,
    fresh_home,
    read_env_file,
    settings_of,
    without_keys,
    write_env_file,
)
from monitor.errors import ConfigError
from monitor.settings import Settings


def test_the_operators_settings_are_dropped_except_where_the_models_are(tmp_path: Path) -> None:
    made = fresh_home(tmp_path / "home")
    base = {
        "PATH": "/bin",
        "LIKENESS_DATABASE_URL": "postgresql://real",
        "LIKENESS_KEK": "k1:real",
        "LIKENESS_MODELS_DIR": "/models",
        "LIKENESS_PACK": "registry",
    }
    env = environment(base, settings_of(made, 2525, "http://127.0.0.1:1"))
    assert (env["PATH"], env["LIKENESS_MODELS_DIR"]) == ("/bin", "/models")
    assert "LIKENESS_DATABASE_URL" not in env
    assert "LIKENESS_KEK" not in env
    assert env["LIKENESS_HOME"] == str(made.home)


def test_every_setting_of_the_demo_is_one_that_the_service_knows(tmp_path: Path) -> None:
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    made = fresh_home(tmp_path / "home")
    assert set(settings_of(made, 2525, "http://127.0.0.1:1")) <= known


def test_the_crawler_gets_no_key_and_no_secret(tmp_path: Path) -> None:
    made = fresh_home(tmp_path / "home")
    env = without_keys(settings_of(made, 2525, "http://127.0.0.1:1"))
    assert not {"LIKENESS_KEK_FILE", "LIKENESS_LINK_SECRET", "LIKENESS_TWILIO_TOKEN"} & set(env)
    assert made.link_secret not in env.values()
    assert env["LIKENESS_CRAWL_CONTACT"]


def test_secrets_are_new_each_time(tmp_path: Path) -> None:
    one, other = fresh_home(tmp_path / "a"), fresh_home(tmp_path / "b")
    assert one.link_secret != other.link_secret
    assert one.twilio_token != other.twilio_token
    assert len(one.link_secret) >= 32


def test_an_earlier_demo_is_cleared_and_anything_else_is_refused(tmp_path: Path) -> None:
    made = fresh_home(tmp_path / "demo")
    (made.home / "old.eml").write_text("old")
    assert not (fresh_home(tmp_path / "demo").home / "old.eml").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError):
        fresh_home(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_the_pages_can_be_opened_again_and_no_message_can_go_out(tmp_path: Path) -> None:
    made = fresh_home(tmp_path / "a home")
    path = write_env_file(made, settings_of(made, 2525, "http://127.0.0.1:1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = read_env_file(path)
    assert read["LIKENESS_HOME"] == str(made.home)
    assert read["LIKENESS_LINK_SECRET"] == made.link_secret
    assert not [name for name in read if "SMTP" in name or "TWILIO" in name]
