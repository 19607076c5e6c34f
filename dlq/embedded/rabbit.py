"""A RabbitMQ for demos, benchmarks and tests: the system's rabbitmq-server as a process of its own, on loopback.

Everything that it has lies in its folder, its port mapper (epmd) too is its own, and both are stopped by their
process ids. https://www.rabbitmq.com/docs/configure#supported-environment-variables
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from dlq.embedded.redis import HOST, die_with_parent, free_port
from dlq.errors import EmbeddedServerError

_PLACES: Final = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin", "/usr/sbin")
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_GREETING: Final = b"AMQP\x00\x00\x09\x01"


def find_rabbitmq() -> Path | None:
    """Find rabbitmq-server: the program itself, not Debian's wrapper, which changes the user."""
    path = os.pathsep.join([*_PLACES, os.environ.get("PATH", "")])
    found = shutil.which("rabbitmq-server", path=path)
    return Path(found) if found else None


class EmbeddedRabbit:
    """Run one broker from `start` to `close`, or for a `with` block; `plugins` are enabled from the start."""

    def __init__(self, *, plugins: tuple[str, ...] = (), options: Mapping[str, str | int] | None = None) -> None:
        """Take what to run, and lines for rabbitmq.conf; nothing is started yet."""
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="dlq-rabbit-"))
        self._plugins = plugins
        self._options = {"vm_memory_high_watermark.absolute": "1GB", **(options or {})}
        self._mapper_port, self._node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the address, with the login that a new broker has."""
        return f"amqp://guest:guest@{HOST}:{self.port}/%2F"

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables that make rabbitmqctl and its like talk to this broker."""
        return {
            **os.environ,
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"dlq{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": HOST,
        }

    @property
    def pids(self) -> tuple[int, ...]:
        """Give the process ids of broker and port mapper, each the leader of its group."""
        return tuple(process.pid for process in (self._process, self._mapper) if process is not None)

    def __enter__(self) -> Self:
        """Start the broker."""
        try:
            return self.start()
        except BaseException:  # Ctrl-C too: nobody else would stop it
            self.close()
            raise

    def __exit__(self, *_exc: object) -> None:
        """Stop the broker and remove its folder."""
        self.close()

    def start(self) -> Self:
        """Start the broker and wait until it lets one in; else EmbeddedServerError with the end of its log."""
        program, mapper = find_rabbitmq(), shutil.which("epmd")
        if program is None or mapper is None:
            raise EmbeddedServerError("There is no rabbitmq-server on this machine.")
        (self.folder / "plugins").write_text(f"[{','.join(self._plugins)}].\n", encoding="utf-8")
        lines = [f"{name} = {value}\n" for name, value in self._options.items()]
        (self.folder / "rabbitmq.conf").write_text("".join(lines), encoding="utf-8")
        if self._mapper is None:
            self._mapper = self._run([mapper, "-port", str(self._mapper_port), "-address", HOST])
        self._process = self._run([program])
        end = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            if self._answers():
                return self
            time.sleep(0.2)
        said = self.log_tail()
        self.close()
        raise EmbeddedServerError(f"rabbitmq-server did not start: {said}")

    def control(self, *words: str) -> str:
        """Run a command of rabbitmqctl on this broker; give what it says."""
        program = (find_rabbitmq() or self.folder).with_name("rabbitmqctl")
        done = subprocess.run([program, *words], env=self.environment, check=True, capture_output=True, text=True)  # noqa: S603 - the program is the system's
        return done.stdout

    def stop(self) -> None:
        """Ask the broker to shut down; data and port stay."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def kill(self) -> None:
        """Kill the broker at once, as a power cut would."""
        if self._process is not None:
            for child in _beam(self._process.pid):
                os.kill(child, 9)
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop the broker and its port mapper, and remove the folder."""
        self.stop()
        if self._mapper is not None:
            _end(self._mapper)
            self._mapper = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        """Read the last lines of what the broker said."""
        log = self.folder / "server.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return " | ".join(line.strip() for line in lines[-6:] if line.strip()) or "nothing was logged"

    def _run(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the programs are the system's
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one system call, prepared before the fork
            )

    def _answers(self) -> bool:
        """Greet the broker as a client does; one that has started begins with its first method."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as probe:
                probe.sendall(_GREETING)
                return probe.recv(1) == b"\x01"
        except OSError:
            return False


def _beam(pid: int) -> list[int]:
    """Find the processes that the server's script started, where the kernel tells."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [child for found in map(int, text.split()) for child in (found, *_beam(found))]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
