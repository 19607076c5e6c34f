"""The home folder of `dlq up`: who holds it, what is kept in it, and where others find what runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlq.config.announced import LOCK, STATE
from dlq.embedded.redis import HOST
from dlq.errors import ConfigError
from dlq.up.errors import PortInUseError, UpRunningError


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder that this process holds; `lock` is the file descriptor of its lock."""

    folder: Path
    lock: int

    @property
    def logs(self) -> Path:
        """Give the folder of the log files."""
        return self.folder / "logs"

    @property
    def redis(self) -> Path:
        """Give the folder of the embedded Redis: its data and its settings."""
        return self.folder / "redis"

    @property
    def prefect(self) -> Path:
        """Give the folder that Prefect has in place of ~/.prefect."""
        return self.folder / "prefect"

    @property
    def token_file(self) -> Path:
        """Give the file with the receiver's token."""
        return self.folder / "receiver-token"

    def token(self) -> str:
        """Give the receiver's token: the one that is kept here, else a new one, readable by its owner only."""
        with suppress(FileNotFoundError):
            self.token_file.chmod(0o600)
            if kept := self.token_file.read_text(encoding="utf-8").strip():
                return kept
        token = secrets.token_urlsafe(32)
        descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{token}\n")
        return token

    def announce(self, state: Mapping[str, Any]) -> None:
        """Write where everything is, for other commands in this home; see dlq.config.announced."""
        fresh = self.folder / f"{STATE}.new"
        fresh.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.folder / STATE)


@contextmanager
def hold(folder: Path) -> Iterator[Home]:
    """Hold a home folder for a `with` block; UpRunningError when another process holds it."""
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigError(f"DLQ_HOME: {folder} cannot be used: {exc.strerror}.") from exc
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise UpRunningError(home=folder, process=lock.read().strip() or None) from exc
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        home = Home(folder, lock.fileno())
        home.logs.mkdir(exist_ok=True)
        (folder / STATE).unlink(missing_ok=True)
        try:
            yield home
        finally:
            (folder / STATE).unlink(missing_ok=True)


def require_free_port(host: str, port: int, what: str, setting: str, host_setting: str = "") -> None:
    """Raise PortInUseError, which names port and setting, when somebody listens there; ConfigError if nobody could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as exc:
            raise ConfigError(f"{setting}: this user may not listen on port {port} of {host}.") from exc
        except OSError as exc:
            if _answers(host, port):
                raise PortInUseError(
                    f"Port {port} of {host}, for the {what}, is in use by another program."
                    f" Stop that program, or set {setting} to a free port."
                ) from exc
            raise ConfigError(
                f"{host_setting or setting}: cannot listen on port {port} of {host}: {exc.strerror}."
            ) from exc


def _answers(host: str, port: int) -> bool:
    """Tell whether somebody listens; an address that is not this machine's answers nobody here."""
    target = HOST if host in {"", "0.0.0.0"} else host  # noqa: S104 - compared, not bound
    with suppress(OSError), socket.create_connection((target, port), timeout=2):
        return True
    return False
