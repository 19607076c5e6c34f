"""`dlq demo`: an incident on three queues with a known truth, start to end, on servers of its own."""

from __future__ import annotations

import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import redis
from rich.console import Console

from dlq.demo.children import Child, Children
from dlq.demo.incident import Incident
from dlq.demo.world import make_world
from dlq.embedded import HOST, EmbeddedRedis, free_port
from dlq.errors import DlqError
from dlq.settings import Settings, load_settings
from dlq.up.errors import PrefectApiError
from dlq.up.prefect_api import PrefectApi

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

SERVER_SECONDS: Final = 90.0
PREFIX: Final = "tokpulse"


class DemoKeysError(DlqError):
    """The Redis of DLQ_REDIS_URL already holds lists with the names that the demo uses."""

    exit_status = 3
    advice = "Delete those lists if they are of an earlier demo, or unset DLQ_REDIS_URL: the demo then starts its own."


class DemoRunningError(DlqError):
    """Another demo runs in this folder."""

    exit_status = 3
    advice = "Wait for its end, or set DLQ_HOME to another folder."


def main(messages: int = 60_000, seed: int = 7, *, keep: bool = False) -> int:
    """Run the demo; return 0 only if the truth matches and no message is unexplained, 130 when interrupted.

    `keep` leaves the servers up at the end, until Ctrl-C.
    """
    console = Console()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _demo(console, messages, seed, keep=keep)
    except KeyboardInterrupt:
        console.print("Stopped. Nothing of the demo runs any more.")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _demo(console: Console, messages: int, seed: int, *, keep: bool) -> int:
    told = load_settings(join=False)
    with ExitStack() as stack:
        folder = stack.enter_context(_own_folder(told.home.resolve() / "demo"))
        settings = _demo_settings(told, folder, _redis_url(stack, told))
        with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
            _refuse_others(client, settings)
        api = PrefectApi(free_port())
        children = stack.enter_context(Children(folder, _environment(settings, folder, api)))
        started = time.monotonic()
        python = [sys.executable, "-m"]
        server = children.start(
            "prefect-server", [*python, "prefect", "server", "start", "--host", HOST, "--port", str(api.port)]
        )
        console.print(f"Making {messages:,} dead letters while the Prefect server starts ...")
        world = make_world(messages, seed, datetime.now(UTC))
        with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
            for name in world.letters:
                world.fill(client, name, settings.queue(name).dlq)
        _wait_until_healthy(api, server)
        children.start("deployments", [*python, "deployments.serve"])
        console.print(f"Prefect UI: http://{HOST}:{api.port} (up after {time.monotonic() - started:.0f} s)")
        incident = Incident(console, settings, world, api, children, folder)
        ok = incident.run()
        console.print(
            f"{'Everything matches' if ok else 'NOT everything matches'} after {time.monotonic() - started:.0f} s."
        )
        if keep:
            console.print(f"The servers stay up until Ctrl-C; Redis: {settings.redacted}")
            with suppress(KeyboardInterrupt):
                signal.pause()
        return 0 if ok else 1


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Empty the demo's folder and hold it: what an earlier demo left scheduled must not run in this one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DemoRunningError(folder=folder) from exc
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder


def _redis_url(stack: ExitStack, told: Settings) -> str:
    """Give the address that was set in the environment or file, else that of a server of the demo's own."""
    if "redis_url" in told.model_fields_set:
        return told.redis_url.get_secret_value()
    return stack.enter_context(EmbeddedRedis()).url


def _demo_settings(told: Settings, folder: Path, url: str) -> Settings:
    """Give settings with the three queues of the runbook, whatever the user's own file says about queues."""
    file = folder / "dlq.toml"
    tables = "".join(f"[queues.{name}]\n" for name in ("webhooks", "jobs", "experiments"))
    # Nobody sits at the demo's Prefect UI to answer a form: its incidents run unattended at level 3, too.
    rules = "[policy]\nunattended_levels = [1, 2, 3]\napprove_above = 10_000_000\n"
    file.write_text(f'prefix = "{PREFIX}"\n{rules}{tables}', encoding="utf-8")
    reports = told.reports_folder.resolve()
    return Settings.model_validate(
        {
            "redis_url": url,
            "config": file,
            "home": told.home.resolve(),
            "reports": reports,
            "prefix": PREFIX,
            "queues": {},
        }
    )


def _environment(settings: Settings, folder: Path, api: PrefectApi) -> dict[str, str]:
    """Give the settings of the child processes."""
    return {
        "DLQ_REDIS_URL": settings.redis_url.get_secret_value(),
        "DLQ_CONFIG": str(settings.config),
        "DLQ_HOME": str(settings.home),
        "DLQ_REPORTS": str(settings.reports),
        "DLQ_PREFIX": PREFIX,
        "DLQ_QUEUES": "",
        "DLQ_POLICY": "",
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api.url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_CLI_PROMPT": "false",
    }


def _refuse_others(client: redis.Redis, settings: Settings) -> None:
    """Refuse to mix the demo's messages with somebody's own."""
    keys = [key for queue in settings.queues.values() for key in (queue.dlq, queue.live, queue.quarantine)]
    there = [key for key in keys if client.exists(key)]
    if there:
        raise DemoKeysError(keys=there, redis=settings.redacted)


def _wait_until_healthy(api: PrefectApi, server: Child) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while not api.healthy():
        server.check()
        if time.monotonic() > deadline:
            raise PrefectApiError(f"The Prefect server was not healthy after {SERVER_SECONDS:.0f} s.")
        time.sleep(0.25)
