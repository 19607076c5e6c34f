"""Everything that can be configured: the environment, and `dlq.toml` for the queues.

The environment wins over the file, the file over the defaults. Reading happens in `load_settings` only.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict, SettingsError

from dlq.config import addresses
from dlq.config.announced import announced
from dlq.config.policy_table import Policy
from dlq.config.queues import RUNBOOK_WORKERS, FieldConfig, QueueConfig, Thresholds
from dlq.config.setting_alerts import Receiving
from dlq.config.setting_systems import Systems
from dlq.config.setting_telling import Telling
from dlq.config.strangers import tell_of_strangers
from dlq.errors import ConfigError, UnknownQueueError
from dlq.redaction import conceal, redact

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["FieldConfig", "QueueConfig", "Settings", "Thresholds", "load_settings"]


class Settings(Systems, Receiving, Telling):
    """What the program was told; passwords stay inside SecretStr."""

    model_config = SettingsConfigDict(
        env_prefix="DLQ_", env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    redis_url: SecretStr = SecretStr("redis://localhost:6379/0")
    broker_url: SecretStr | None = Field(
        default=None, description="Where the queues are, if not in that Redis, which then has the ledger only"
    )
    config: Path | None = Field(default=None, description="The dlq.toml that was read, or None")
    home: Path = Path(".dlq")
    timezone: str = "UTC"
    reports: Path | None = Field(default=None, description="Folder of the report files; see reports_folder")
    ledger_days: int = Field(default=30, ge=1, le=3_650)
    lock_seconds: int = Field(default=30, ge=5, le=3_600)
    wait_replicas: int = Field(default=0, ge=0, le=100, description="Replicas that must have each step, in a cluster")
    prefix: str = Field(default="tokpulse", min_length=1)
    queues: dict[str, QueueConfig] = Field(default_factory=dict, validate_default=True)

    # Everything on one machine: see dlq/up.
    ui_port: int = Field(default=4200, ge=1, le=65_535, description="Port of the Prefect server that `dlq up` starts")
    redis_port: int = Field(default=6399, ge=1, le=65_535, description="Port of the Redis that `dlq up` starts")

    # What may happen by itself, what is looked at before, and where archives lie: see dlq/config/policy_table.py.
    policy: Policy = Policy()
    archives: str | None = Field(
        default=None, description="Folder or fsspec address of archives; without it `archives` under the home"
    )

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _known_address(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if url is None:
            return None
        known = addresses.REDIS if info.field_name == "redis_url" else addresses.RABBIT + addresses.REDIS
        if not url.get_secret_value().startswith(known):
            raise ValueError(f"must begin with {', '.join(known[:-1])} or {known[-1]}")
        if not _is_address(url.get_secret_value()):
            raise ValueError(
                "cannot be read as an address: the port is a number, and outside of their places blank, #, /, ? and @"
                " are written as %20, %23, %2F, %3F and %40, in a password above all"
            )
        if url.get_secret_value().startswith(addresses.REDIS) and (wrong := addresses.trouble(url.get_secret_value())):
            raise ValueError(wrong)
        return url

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError) as exc:  # ZoneInfoNotFoundError is a KeyError, but a path gives OSError
            raise ValueError("is not the name of a time zone, such as Europe/Berlin") from exc
        except KeyError as exc:
            raise ValueError("is not a known time zone, such as Europe/Berlin") from exc
        return name

    @field_validator("queues", mode="before")
    @classmethod
    def _complete_keys(cls, queues: object, info: ValidationInfo) -> object:
        """Give each queue its name and the keys it does not say; none at all means the runbook's three."""
        prefix = info.data.get("prefix", "tokpulse")
        if not isinstance(queues, Mapping):
            return queues
        named = queues or {name: {} for name in RUNBOOK_WORKERS}
        return {
            name: {**QueueConfig.defaults(name, prefix), **table} if isinstance(table, Mapping) else table
            for name, table in named.items()
        }

    @model_validator(mode="after")
    def _own_dlq(self) -> Self:
        owners: dict[str, str] = {}
        for queue in self.queues.values():
            other = owners.setdefault(queue.dlq, queue.name)
            if other != queue.name:
                raise ValueError(f"the queues {other} and {queue.name} have the same dlq key {queue.dlq}")
        return self

    @model_validator(mode="after")
    def _alerts_on_queues(self) -> Self:
        for name, rule in self.alerts.items():
            if rule.queue is not None and rule.queue not in self.queues:
                known = ", ".join(self.queues)
                raise ValueError(f"alerts.{name}.queue: there is no queue {rule.queue}; known: {known}")
        return self

    @model_validator(mode="after")
    def _conceal(self) -> Self:
        """Have every credential hidden wherever a text is made fit to be shown."""
        conceal(*secrets_of(self))
        return self

    @property
    def redacted(self) -> str:
        """Give the broker's address for display, without its password."""
        return redact(self.broker.get_secret_value())

    @property
    def broker(self) -> SecretStr:
        """Give the address of the broker that has the queues."""
        return self.broker_url or self.redis_url

    @property
    def reports_folder(self) -> Path:
        """Give the folder of the report files: the one that was set, else `reports` under the home."""
        return self.reports or self.home / "reports"

    @property
    def archives_place(self) -> str:
        """Give the folder, or the fsspec address, of archives."""
        return self.archives or str(self.home / "archives")

    def policy_of(self, queue: str) -> Policy:
        """Give the rules of a queue: its own over those of all queues."""
        return self.queue(queue).policy.over(self.policy)

    @property
    def zone(self) -> tzinfo:
        """Give the time zone in which times are shown, and read where they have no offset."""
        return ZoneInfo(self.timezone)

    def queue(self, name: str) -> QueueConfig:
        """Give a queue by its name; UnknownQueueError lists the known ones."""
        try:
            return self.queues[name]
        except KeyError as exc:
            raise UnknownQueueError(queue=name, known=sorted(self.queues)) from exc


def load_settings(*, join: bool = True) -> Settings:
    """Read the environment and `dlq.toml`; ConfigError says which file or variable, which key, what is wrong.

    The file is DLQ_CONFIG, else `dlq.toml` here, else `dlq.toml` in DLQ_HOME; having none is fine. `join`: where
    neither names a Redis, it is the one of the `dlq up` that runs in this home, if one does.
    """
    tell_of_strangers([name for name, value in os.environ.items() if value], Settings.model_fields)
    file = _find_file()
    said = _read_file(file) if file else {}
    if join and not os.environ.get("DLQ_REDIS_URL") and (url := announced(_home()).get("redis_url")):
        said = {"redis_url": url, **said}
    from_file = {key: value for key, value in said.items() if not os.environ.get(f"DLQ_{key.upper()}")}
    try:
        return Settings(**{**from_file, "config": file})
    except SettingsError as exc:
        # pydantic says which variable it is in its text only; the value, which may be a secret, is not in there.
        name = re.search(r'field "(\w+)"', str(exc))
        variable = f"DLQ_{name[1].upper()}" if name else "DLQ_QUEUES"
        raise ConfigError(f"{variable}: is not JSON. Write it in dlq.toml instead.") from exc
    except ValidationError as exc:
        problems = [_problem(error, file, from_file) for error in exc.errors(include_url=False, include_input=False)]
        raise ConfigError("; ".join(problems) + ".") from exc


def secrets_of(value: object) -> Iterator[str]:
    """Find the credentials among settings, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from secrets_of(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from secrets_of(part)


def _is_address(text: str) -> bool:
    """Tell whether user, password, host and port can be told apart; else the password could not be hidden."""
    try:
        parts = urlsplit(text)
        # Sentinels and clusters are several hosts with a comma between, each with a port of its own.
        _ = [urlsplit(f"//{host}").port for host in parts.netloc.rpartition("@")[2].split(",")]
    except ValueError:
        return False
    elsewhere = (parts.username or "", parts.path, parts.query, parts.fragment)
    return not re.search(r"\s", text) and not any("@" in part for part in elsewhere)


def _find_file() -> Path | None:
    """Give the configuration file, or None when nobody made one."""
    named = os.environ.get("DLQ_CONFIG")
    if named:
        if not _is_there(Path(named)):
            raise ConfigError("DLQ_CONFIG names a file that does not exist.", file=named)
        return Path(named)
    return next((file for file in (Path("dlq.toml"), _home() / "dlq.toml") if _is_there(file)), None)


def _is_there(file: Path) -> bool:
    """Tell whether there is such a file; something else of that name, or a closed folder, is not passed over."""
    try:
        if file.is_dir():
            raise ConfigError(f"{file} is a folder; a configuration is a file.")
        return file.exists()
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}.") from exc


def _home() -> Path:
    return Path(os.environ.get("DLQ_HOME") or Settings.model_fields["home"].default)


def _read_file(file: Path) -> dict[str, Any]:
    """Read the TOML; paths of schemas become relative to the file's own folder."""
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file} is not TOML: its byte {exc.start} is not UTF-8 text.") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{file} is not TOML: {exc}.") from exc
    for reserved in ("config", "home"):
        if reserved in said:
            raise ConfigError(f"{file}: {reserved}: set DLQ_{reserved.upper()} instead; it says where this file lies.")
    queues = said.get("queues")
    for table in queues.values() if isinstance(queues, dict) else ():
        if isinstance(table, dict) and isinstance(table.get("schema"), str):
            table["schema"] = file.parent / table["schema"]
    return said


def _problem(error: "ErrorDetails", file: Path | None, from_file: Mapping[str, Any]) -> str:
    """Say where a validation error comes from, which key it is about and what is wrong, never the value."""
    place = [str(part) for part in error["loc"]]
    wrong = (
        "unknown key"
        if error["type"] == "extra_forbidden"
        else error["msg"].removeprefix("Value error, ").removesuffix(".")
    )
    if not place or place[0] in from_file or place[0] not in Settings.model_fields:
        return ": ".join(filter(None, (str(file or "dlq.toml"), ".".join(place), wrong)))
    return ": ".join(filter(None, (f"DLQ_{place[0].upper()}", ".".join(place[1:]), wrong)))
