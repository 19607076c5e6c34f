"""A TCP proxy that loses answers: the command ran, its answer never came, the connection closes."""

import hashlib
import socket
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from dlq.brokers.redis_wire import script_text

_QUIET = 0.05  # seconds without an answer after which the server has answered all that was sent
_BLOCK = 65_536
_OVERLAP = 64  # bytes carried over, so that a name split over two blocks is seen


def script_name(name: str) -> bytes:
    """Give the digest by which a script of ours is called."""
    return hashlib.sha1(script_text(name).encode(), usedforsecurity=False).hexdigest().encode()


class LossyProxy:
    """Stand between one client and a server; for a `with` block.

    `lose(word, nth)` lets the nth command with this word from now on through, and loses its answer.
    """

    def __init__(self, url: str) -> None:
        self._server = (str(urlsplit(url).hostname), int(urlsplit(url).port or 6379))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._word = b""
        self._left = 0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.lost = 0
        """Answers lost so far."""

    @property
    def url(self) -> str:
        """Give the address for the client."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose(self, word: bytes, nth: int) -> None:
        """Lose the answer of the nth command with this word."""
        self._left, self._word = nth, word

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._spawn(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close everything."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _spawn(self, target: "object", *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._spawn(self._carry, client)

    def _carry(self, client: socket.socket) -> None:
        """Serve one connection until a side closes it or its answer is to be lost."""
        with client, socket.create_connection(self._server) as server:
            doomed = threading.Event()
            back = threading.Thread(target=self._answers, args=(server, client, doomed), daemon=True)
            back.start()
            self._commands(client, server, doomed)
            back.join()

    def _commands(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        client.settimeout(0.05)
        tail = b""
        while not self._stopped.is_set():
            try:
                block = client.recv(_BLOCK)
            except TimeoutError:
                continue
            except OSError:
                block = b""
            if not block:
                break
            if self._left:
                fresh = (tail + block).count(self._word) - tail.count(self._word)
                tail = (tail + block)[-_OVERLAP:]
                if fresh:
                    self._left = max(0, self._left - fresh)
                    if not self._left:
                        doomed.set()
            server.sendall(block)
        _shut(server)

    def _answers(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        server.settimeout(0.01)
        silent_since = None
        while True:
            try:
                block = server.recv(_BLOCK)
            except TimeoutError:
                if silent_since and time.monotonic() - silent_since > _QUIET:
                    self.lost += 1
                    break
                continue
            except OSError:
                break
            if not block:
                break
            if doomed.is_set():
                silent_since = time.monotonic()
            else:
                client.sendall(block)
        _shut(client)


def _shut(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other side was faster
        return
