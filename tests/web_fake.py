"""A web server in this process whose answers a test decides, for faults that no real server shows on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in. `query` holds the last value of each parameter; headers are written Like-This."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Read the body as JSON; None for none."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. `hang`: nothing, until the server is stopped. `drop`: the connection is cut."""

    status: int = 200
    body: Any = None
    kind: str = "application/json"
    hang: bool = False
    drop: bool = False


HANG = Answer(hang=True)
DROP = Answer(drop=True)


@dataclass
class WebFake:
    """A running fake: its address, what it was asked, and the function that answers; a test may replace that."""

    url: str
    answer: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        """List what was asked for, such as `GET /healthz`."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]


@contextmanager
def web_fake(answer: Callable[[Asked], Answer]) -> Iterator[WebFake]:
    """Serve on a free loopback port until the block ends."""
    fake = WebFake("", answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(
                self.command, parts.path, query, {name.title(): value for name, value in self.headers.items()}, body
            )
            fake.asked.append(asked)
            self.reply(fake.answer(asked))

        def reply(self, answer: Answer) -> None:
            if answer.hang:
                fake.released.wait()
            if answer.hang or answer.drop:
                self.close_connection = True
                return
            body = answer.body
            raw = (
                body
                if isinstance(body, bytes)
                else (body.encode() if isinstance(body, str) else json.dumps(body).encode())
            )
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a client that has gone away is part of the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            fake.released.set()
            server.shutdown()
            thread.join()
