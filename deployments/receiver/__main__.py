"""Serve the receiver: `python -m deployments.receiver [--insecure]`; everything else is said by settings."""

import argparse
import ipaddress
import logging
import sys
from typing import Any

import uvicorn
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from deployments.receiver.access import is_open
from deployments.receiver.app import create_app
from deployments.receiver.tls import tls_options
from dlq.config.settings import Settings, load_settings
from dlq.errors import ConfigError, DlqError


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; a configuration that cannot be used ends it with status 2."""
    parser = argparse.ArgumentParser(prog="python -m deployments.receiver", description=__doc__)
    parser.add_argument("--insecure", action="store_true", help="take alerts without credentials, on loopback only")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call of Prefect
    try:
        settings = load_settings()
        check(settings, insecure=asked.insecure)
        options = _options(settings)
    except DlqError as exc:
        sys.stderr.write(f"receiver: {exc}\n")
        sys.exit(exc.exit_status)
    # Prefect's client would wait and retry by itself for longer than a request may take.
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        uvicorn.run(create_app(settings), **options)


def check(settings: Settings, *, insecure: bool) -> None:
    """Refuse to serve to anybody who comes along, or without a Prefect to start runs on."""
    if not PREFECT_API_URL.value():
        raise ConfigError("PREFECT_API_URL does not say where the Prefect server is.")
    if not is_open(settings):
        return
    if not insecure:
        raise ConfigError(
            "Anybody could start runs: set DLQ_RECEIVER_TOKEN, or DLQ_RECEIVER_USER and DLQ_RECEIVER_PASSWORD, or say"
            " --insecure."
        )
    if not _is_loopback(settings.receiver_host):
        raise ConfigError(
            "--insecure serves on loopback only, such as 127.0.0.1; DLQ_RECEIVER_HOST is not.",
            host=settings.receiver_host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.receiver_host,
        "port": settings.receiver_port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": 10,
        **tls_options(settings),
    }


if __name__ == "__main__":
    main()
