"""The servers that tests run on: redis-server from PATH, and the embedded one out of the wheel."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn, Protocol

import pytest

from dlq.embedded.redis import EmbeddedRedis

FLAVOURS = ("redis", "embedded")
OLDEST_REDIS = 7


class ServerFactory(Protocol):
    """Start one more server for a test, stopped and removed when the test ends."""

    def __call__(self, **options: str | int) -> EmbeddedRedis:
        """Start a server with these settings of redis.conf, `_` for `-`."""
        ...


def find_redis_server() -> Path | None:
    """Find redis-server of version 7 or newer on PATH."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\bv=(\d+)\.", told)
    return Path(program) if version and int(version[1]) >= OLDEST_REDIS else None


def missing(what: str) -> NoReturn:
    """Skip the test on a laptop; fail it where CI is set, since nothing may go untested there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI is set: run `make test`, which installs it.", pytrace=False)
    pytest.skip(f"{what} is missing: `make test` installs it where it may.")


def new_server(flavour: str, **options: str | int) -> EmbeddedRedis:
    """Make a server of the flavour, not started; skip or fail the test when its program is missing."""
    if flavour == "embedded":
        return EmbeddedRedis(options=options)
    program = find_redis_server()
    if program is None:
        missing(f"redis-server {OLDEST_REDIS} or newer")
    return EmbeddedRedis(binary=program, options=options)
