"""The programs of `dlq up`: what is started, with which settings, and when each of them counts as ready."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import redis
from pydantic import SecretStr

from dlq.config.settings import Settings
from dlq.embedded.redis import HOST, EmbeddedRedis
from dlq.errors import ConfigError
from dlq.up.home import Home, require_free_port
from dlq.up.leftovers import take_up
from dlq.up.prefect_api import PrefectApi
from dlq.up.service import Service

REDIS, PREFECT, RUNNER, RECEIVER = "redis", "prefect-server", "deployments", "receiver"
AOF: Final = {"appendonly": "yes", "appendfsync": "everysec"}
"""The embedded Redis holds the queues: every write goes to its append-only file. A killed server loses nothing,
a machine without power at most the last second. https://valkey.io/topics/persistence/"""
POLLED: Final = "incident/incident"
_RUNNER_STOP_SECONDS: Final = 25.0  # it stops the flow runs in hand first


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs in a home, and where. `redis_is_ours` says that Redis is the embedded one."""

    home: Home
    settings: Settings
    api: PrefectApi
    redis_is_ours: bool
    token_is_ours: bool
    extra: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Settings, home: Home, extra: Mapping[str, str] | None = None) -> Plan:
        """Complete what the settings say: an embedded Redis and a token of our own where they name neither.

        `extra` are further settings of the child processes.
        """
        ours = "redis_url" not in told.model_fields_set
        own: dict[str, object] = {"home": home.folder, "reports": told.reports_folder.resolve()}
        if told.config is not None:
            own["config"] = told.config.resolve()
        if ours:
            own["redis_url"] = SecretStr(f"redis://{HOST}:{told.redis_port}/0")
        unguarded = told.receiver_token is None and told.receiver_password is None
        if unguarded:
            own["receiver_token"] = SecretStr(home.token())
        api = PrefectApi(told.ui_port, os.environ.get("PREFECT_SERVER_API_AUTH_STRING", ""))
        return cls(home, told.model_copy(update=own), api, ours, unguarded, extra or {})

    @property
    def receiver(self) -> str:
        """Give the address that Alertmanager is to call."""
        host = self.settings.receiver_host
        scheme = "https" if self.settings.receiver_cert else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.settings.receiver_port}/alerts"

    def require_ports(self) -> None:
        """Raise the error of a port that cannot be listened on, before anything is started."""
        require_free_port(HOST, self.settings.ui_port, "Prefect server", "DLQ_UI_PORT")
        host, port = self.settings.receiver_host, self.settings.receiver_port
        require_free_port(host, port, "receiver of alerts", "DLQ_RECEIVER_PORT", "DLQ_RECEIVER_HOST")
        if self.redis_is_ours:
            require_free_port(HOST, self.settings.redis_port, "embedded Redis", "DLQ_REDIS_PORT")
        ports = [self.settings.ui_port, self.settings.receiver_port] + [self.settings.redis_port] * self.redis_is_ours
        if len(set(ports)) < len(ports):
            raise ConfigError("DLQ_UI_PORT, DLQ_RECEIVER_PORT and DLQ_REDIS_PORT must differ.")

    def environment(self) -> dict[str, str]:
        """Give the settings of the child processes; they win over what was inherited."""
        settings = self.settings
        token = settings.receiver_token
        said = {
            "DLQ_HOME": str(settings.home),
            "DLQ_REPORTS": str(settings.reports),
            "DLQ_REDIS_URL": settings.redis_url.get_secret_value(),
            "DLQ_RECEIVER_HOST": settings.receiver_host,
            "DLQ_RECEIVER_PORT": str(settings.receiver_port),
            "DLQ_RECEIVER_TOKEN": token.get_secret_value() if token else "",
            "PREFECT_HOME": str(self.home.prefect),
            "PREFECT_PROFILES_PATH": str(self.home.prefect / "profiles.toml"),
            "PREFECT_API_URL": self.api.url,
            "PREFECT_API_AUTH_STRING": self.api.auth,
            "PREFECT_API_KEY": "",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_API_LOG_RETRYABLE_ERRORS": "true",  # else the server's log says nothing about its 503
            # Flow runs are processes that import Prefect: without compiled modules that takes twice as long.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        if settings.config is not None:
            said["DLQ_CONFIG"] = str(settings.config)
        return {**self.extra, **said}

    def services(self, say: Callable[..., None]) -> list[Service]:
        """Give what is to be kept running, in the order in which it starts; `say` is told about earlier flow runs."""
        python = (sys.executable, "-m")
        needs = (REDIS, PREFECT) if self.redis_is_ours else (PREFECT,)
        server = ("prefect", "server", "start", "--host", HOST, "--port", str(self.api.port))
        found = [self._redis()] if self.redis_is_ours else []
        return [
            *found,
            Service(PREFECT, "Prefect server", (*python, *server), lambda _: self.api.healthy()),
            Service(
                RUNNER,
                "Runner of the flows",
                (*python, "deployments.serve"),
                lambda started: self.api.served_since(POLLED, started),
                needs,
                before=lambda: take_up(self.api, say),
                stop_seconds=_RUNNER_STOP_SECONDS,
            ),
            Service(RECEIVER, "Receiver of alerts", (*python, "deployments.receiver"), self._receiver_ready, needs),
        ]

    def _redis(self) -> Service:
        server = EmbeddedRedis(folder=self.home.redis, port=self.settings.redis_port, options=AOF)
        return Service(REDIS, "Redis", server.prepare(), lambda _: answers(server.url))

    def _receiver_ready(self, _started: float) -> bool:
        """Look whether the receiver listens; a Redis of others that is down is no fault of its start."""
        host = self.settings.receiver_host
        target = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        with suppress(OSError), socket.create_connection((target, self.settings.receiver_port), timeout=2):
            return True
        return False


def answers(url: str) -> bool:
    """Say whether the Redis at an address answers, and has loaded its data."""
    with suppress(redis.RedisError, OSError), redis.Redis.from_url(url, socket_timeout=2, retry=None) as client:
        return bool(client.ping())
    return False
