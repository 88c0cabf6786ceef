"""A home folder of the demo's own and the environment of its child processes.

Nothing of a real installation is read or changed: every setting of the operator is dropped except
where the models lie and how they run, and all keys and secrets are made fresh.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.demo.catchers import free_port
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MARK = ".likeness-demo"
"""File that says: this folder was made by the demo and may be cleared by it."""

KEPT = ("MODELS_DIR", "PACK", "DEVICE", "THREADS", "INSIGHTFACE_DIR", "SPEECHBRAIN_DIR")
"""Settings of the operator that the demo runs under: the models, and nothing that holds anybody's data."""

FETCH_MAX_BYTES = 32 * 2**20
"""Small enough that the endless body is cut off at once; the largest planted file has 1 MB."""

ACCOUNT = "ACdemo"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The demo's own home: paths, the port of the web pages, and secrets that live as long as it does."""

    home: Path
    port: int
    link_secret: str
    twilio_token: str

    @property
    def key_file(self) -> Path:
        """File of the key-encryption key."""
        return self.home / "kek"

    @property
    def public_url(self) -> str:
        """Address of the web pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        """Folder of what the processes said."""
        return self.home / "logs"

    @property
    def env_file(self) -> Path:
        """Settings to open the pages again after the demo."""
        return self.home / "demo.env"


def fresh_home(home: Path) -> Surroundings:
    """Make an empty home folder, over one of an earlier demo if there is one.

    Raises ConfigError when something else lies there.
    """
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).is_file():
            msg = f"{home} holds something that is not a demo's"
            raise ConfigError(msg, hint="Choose another folder with --home.")
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / MARK).write_text(
        "Made by `likeness demo`, which clears this folder when it runs again.\n", "utf-8"
    )
    made = Surroundings(home, free_port(), secrets.token_urlsafe(48), secrets.token_hex(16))
    made.logs.mkdir()
    return made


def settings_of(made: Surroundings, smtp_port: int, twilio_url: str) -> dict[str, str]:
    """Give every setting of the demo, as environment variables."""
    settings = {
        "HOME": str(made.home),
        "KEK_FILE": str(made.key_file),
        "LINK_SECRET": made.link_secret,
        "PUBLIC_URL": made.public_url,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(smtp_port),
        "SMTP_TLS": "none",
        "MAIL_FROM": "watch@example.org",
        "TWILIO_ACCOUNT": ACCOUNT,
        "TWILIO_TOKEN": made.twilio_token,
        "TWILIO_FROM": "+12025550100",
        "TWILIO_URL": twilio_url,
        "SMS_COUNTRIES": "US",
        "CRAWL_CONTACT": "watch@example.org",
        "FETCH_MAX_BYTES": str(FETCH_MAX_BYTES),
    }
    return {f"LIKENESS_{name}": value for name, value in settings.items()}


def environment(base: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a child: `base` without the operator's settings, and the demo's own."""
    kept = {f"LIKENESS_{name}" for name in KEPT}
    plain = {n: v for n, v in base.items() if not n.startswith("LIKENESS_") or n in kept}
    return {**plain, **settings}


def without_keys(env: Mapping[str, str]) -> dict[str, str]:
    """Take away what a process that only puts in must not have: the keys and all other secrets."""
    secret = {"KEK", "KEK_FILE", "LINK_SECRET", "SMTP_PASSWORD", "TWILIO_TOKEN"}
    return {n: v for n, v in env.items() if n.removeprefix("LIKENESS_") not in secret}


def write_env_file(made: Surroundings, settings: Mapping[str, str]) -> Path:
    """Keep the settings in a file that only its owner reads, for a shell to load. Messages stay off."""
    off = ("SMTP", "TWILIO", "MAIL", "SMS")
    lines = [
        f"{name}={shlex.quote(value)}\n"
        for name, value in settings.items()
        if not name.removeprefix("LIKENESS_").startswith(off)
    ]
    made.env_file.touch(mode=0o600)
    made.env_file.write_text("".join(lines), "utf-8")
    return made.env_file


def read_env_file(path: Path) -> dict[str, str]:
    """Read what `write_env_file` wrote."""
    pairs = (line.partition("=") for line in path.read_text("utf-8").splitlines())
    return {name: shlex.split(value)[0] for name, _, value in pairs}
