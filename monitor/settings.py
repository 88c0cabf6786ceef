"""One frozen Settings, read from the environment by the entry files and handed down as an argument.

Every setting is `LIKENESS_<NAME>`. Secrets have no default: what needs one and finds none refuses
with the name of the setting. Only `likeness demo` and `likeness serve --dev` make their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.errors import ConfigError

PLACEHOLDERS = frozenset({"changeme", "change-me", "secret", "password", "example", "test", "xxx"})
"""Values that a person forgot to replace. A secret equal to one of them is refused."""


class Settings(BaseSettings):
    """Everything that an operator can set. Production is the default."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    home: Path = Field(
        default=user_data_path("likeness-watch"),
        description="Folder of the database and the sealed bytes.",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL. Empty: SQLite in the home folder. PostgreSQL: postgresql+psycopg://...",
    )
    blob_dir: Path | None = Field(
        default=None, description="Folder of sealed bytes. Empty: `blobs` in the home folder."
    )
    models_dir: Path = Field(
        default=user_cache_path("likeness-watch") / "models",
        description="Cache of model weights, outside the repository.",
    )
    pack: str = Field(default="registry", description="Name of the model pack; see `likeness models list`.")
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Where models run. cuda without a usable GPU is an error."
    )
    synthetic: Literal["on", "off"] = Field(
        default="on",
        description="Ask of each sighting whether a computer made it. off: it is said that nobody asked.",
    )
    detectors: Path | None = Field(
        default=None,
        description=(
            "Folder of your own detectors of made media, one TOML manifest each. See `likeness detector`."
        ),
    )
    threads: int = Field(default=0, ge=0, le=256, description="Items looked at at once. 0: one per core.")
    insightface_dir: Path | None = Field(
        default=None, description="Folder of the operator's own insightface pack (*.onnx)."
    )
    speechbrain_dir: Path | None = Field(
        default=None, description="Folder of a speechbrain speaker model. Treat it as code: it runs."
    )

    kek: SecretStr | None = Field(
        default=None,
        description="Key-encryption keys, `id:base64 of 32 bytes`, comma-separated; the first one is active.",
    )
    kek_file: Path | None = Field(
        default=None, description="File with the same, one per line. Make one with `likeness keys new`."
    )
    link_secret: SecretStr | None = Field(
        default=None, description="Signs the links in messages; at least 32 characters."
    )

    minimum_age: int = Field(
        default=18, ge=0, le=100, description="Age in years, as declared, below which nobody is enrolled."
    )

    enrolment: Literal["closed", "open"] = Field(
        default="closed",
        description="open: people enrol themselves by the web form. closed: only the operator enrols.",
    )
    sample_max_bytes: int = Field(
        default=200 * 2**20, gt=0, description="Largest picture, sound or clip that the web form takes."
    )
    cooling_off_hours: float = Field(
        default=72.0, ge=0, description="Hours between an enrolment by web form and its first message."
    )
    proof_days: int = Field(
        default=365, ge=1, le=3650, description="Days until a person must prove again that it is them."
    )
    whisper_dir: Path | None = Field(
        default=None,
        description=(
            "Folder of a multilingual Whisper in CTranslate2's form, to hear spoken digits in every "
            "language. Empty: the two that come with the packs, one for English and one for other languages."
        ),
    )
    safe_exit_url: str = Field(
        default="https://www.wikipedia.org/",
        description="Where the button that leaves the pages at once leads. Choose a page nobody minds.",
    )

    max_bytes: int = Field(default=512 * 2**20, gt=0, description="Largest media item taken, bytes.")
    max_pixels: int = Field(default=100_000_000, gt=0, description="Largest picture or frame, pixels.")
    max_seconds: float = Field(default=3600.0, gt=0, description="Seconds of a video or sound looked at.")
    frames_per_second: float = Field(default=4.0, gt=0, le=60, description="Frames of a video looked at.")
    decode_seconds: float = Field(default=600.0, gt=0, description="CPU seconds a decoder may take.")
    decode_memory_mb: int = Field(default=2048, ge=256, description="Memory a decoder may take, MiB.")
    c2pa_trust_file: Path | None = Field(
        default=None, description="PEM file of the signers whose Content Credentials count as trusted."
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="Seconds until the items of a worker that went silent go to another."
    )
    keep_original_mb: int = Field(
        default=32, ge=0, description="Originals of a finding kept sealed for the subject, up to this size."
    )

    lookalike_days: int = Field(
        default=365, ge=1, le=3650, description="Days for which somebody called “not me” is remembered."
    )

    public_url: str = Field(default="http://127.0.0.1:8800", description="Address in the links of messages.")
    smtp_host: str = Field(default="", description="SMTP server. Empty: e-mail is off.")
    smtp_port: int = Field(default=587, description="SMTP port.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="none only for a server on this machine."
    )
    smtp_user: str = Field(default="", description="SMTP user.")
    smtp_password: SecretStr | None = Field(default=None, description="SMTP password.")
    mail_from: str = Field(default="", description="Sender address of e-mail.")
    mail_name: str = Field(
        default="Private notices",
        description="Sender name of e-mail. Keep it neutral: others in the house may see it.",
    )
    twilio_account: str = Field(default="", description="Twilio account SID. Empty: SMS is off.")
    twilio_token: SecretStr | None = Field(default=None, description="Twilio auth token.")
    twilio_from: str = Field(default="", description="Sender number of SMS, E.164.")
    twilio_url: str = Field(default="https://api.twilio.com", description="Twilio API address.")
    sms_countries: str = Field(
        default="", description="Countries SMS may go to, like `DE,FR,US`. Empty: none."
    )
    sms_per_day: int = Field(
        default=200, ge=0, description="Most SMS in 24 hours, all people together: the spend cap."
    )

    crawl_contact: str = Field(
        default="", description="Address or page in the crawler's User-Agent; crawling refuses without."
    )
    fetch_max_bytes: int = Field(default=256 * 2**20, gt=0, description="Largest media body fetched.")
    chromium: str = Field(
        default="",
        description="Browser for sources that say javascript=yes, path or command. Empty: Debian's chromium.",
    )
    fetch_seconds: float = Field(default=120.0, gt=0, description="Longest fetch of one body, seconds.")

    operator_token: SecretStr | None = Field(
        default=None,
        description=(
            "Opens /metrics and the pages under /operator, as HTTP Basic password or Bearer token; "
            "at least 32 characters. Empty: these pages are not there."
        ),
    )

    log_json: bool = Field(default=False, description="Logs as JSON lines.")

    @model_validator(mode="after")
    def _refuse_placeholders(self) -> Self:
        for name in ("kek", "link_secret", "smtp_password", "twilio_token", "operator_token"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and secret.get_secret_value().strip().lower() in PLACEHOLDERS:
                msg = f"LIKENESS_{name.upper()} is a placeholder; set a real secret"
                raise ValueError(msg)
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'likeness.db'}"

    @property
    def blobs(self) -> Path:
        """The folder of sealed bytes in force."""
        return self.blob_dir or self.home / "blobs"


def load_settings() -> Settings:
    """Read the environment. Only entry files and command verbs call this.

    Raises ConfigError naming each setting that is wrong.
    """
    try:
        return Settings()
    except ValidationError as exc:
        said = "; ".join(f"LIKENESS_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in exc.errors())
        raise ConfigError(said, hint="See `likeness settings` for every setting and what it means.") from exc
