"""A Slack on this machine: its Web API as far as we use it, with its checks, and with faults on demand."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs

from tests.slack_rules import problems

TOKEN = "xoxb-made-up-token"  # noqa: S105 - of the fake only
CHANNEL, NAME = "C0INCIDENTS", "#incidents"


@dataclass
class Fault:
    """What the next calls of a method meet: `kind` is 429, 500, hang, dribble, drop (done, but no answer) or html."""

    kind: str
    method: str = ""
    seconds: float = 30.0


@dataclass
class FakeSlack:
    """What was posted, what was called, and the faults to come."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By ts, in the order of posting; `thread_ts` tells the replies."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    uploads: list[dict[str, Any]] = field(default_factory=list)
    whispers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[list[str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    missing_scopes: set[str] = field(default_factory=set)
    url: str = ""
    _lock: Lock = field(default_factory=Lock)
    _clock: int = field(default_factory=lambda: time.time_ns() // 1_000)
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def roots(self) -> list[dict[str, Any]]:
        """Give the messages that stand in the channel itself."""
        return [message for message in self.messages.values() if not message.get("thread_ts")]

    @property
    def replies(self) -> list[dict[str, Any]]:
        """Give the messages in threads."""
        return [message for message in self.messages.values() if message.get("thread_ts")]

    def count(self, method: str) -> int:
        """Count the calls of a method."""
        return sum(1 for name, _ in self.calls if name == method)

    def fault(self, method: str) -> Fault | None:
        """Take the fault that this call meets, if any."""
        with self._lock:
            if self.faults and self.faults[0].method in {"", method}:
                return self.faults.popleft()
            return self.always if self.always and self.always.method in {"", method} else None

    def answer(self, method: str, token: str, said: dict[str, Any]) -> dict[str, Any]:
        """Do what a method does, after Slack's own checks."""
        with self._lock:
            self.calls.append((method, said))
            if token != TOKEN:
                return {"ok": False, "error": "invalid_auth" if token else "not_authed"}
            if method in self.missing_scopes:
                return {"ok": False, "error": "missing_scope", "needed": "channels:history"}
            act = _METHODS.get(method)
            return act(self, said) if act else {"ok": False, "error": "unknown_method"}

    def _ts(self) -> str:
        self._clock += 1_000_001
        return f"{self._clock // 1_000_000}.{self._clock % 1_000_000:06}"

    def _post(self, said: dict[str, Any]) -> dict[str, Any]:
        if wrong := self._wrong(said, (CHANNEL, NAME)):
            return wrong
        ts = self._ts()
        if said.get("thread_ts") and said["thread_ts"] not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        self.messages[ts] = {**said, "ts": ts}
        return {"ok": True, "channel": CHANNEL, "ts": ts, "message": self.messages[ts]}

    def _update(self, said: dict[str, Any]) -> dict[str, Any]:
        if wrong := self._wrong(said, (CHANNEL,)):  # an update takes the channel's id only
            return wrong
        if said.get("ts") not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        self.messages[said["ts"]] |= said
        return {"ok": True, "channel": CHANNEL, "ts": said["ts"]}

    def _whisper(self, said: dict[str, Any]) -> dict[str, Any]:
        self.whispers.append(said)
        return {"ok": True, "message_ts": self._ts()}

    def _history(self, said: dict[str, Any]) -> dict[str, Any]:
        if said.get("channel") != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        found = [dict(message) for message in self.roots if float(message["ts"]) >= float(said.get("oldest") or 0)]
        if str(said.get("include_all_metadata")).lower() not in {"true", "1"}:
            for message in found:
                message.pop("metadata", None)
        return {"ok": True, "messages": found[::-1][: int(said.get("limit") or 100)]}

    def _upload_address(self, said: dict[str, Any]) -> dict[str, Any]:
        name = f"F{len(self._files)}"
        self._files[name] = {"filename": said["filename"], "length": int(said["length"])}
        base = self.url.rsplit("/api/", 1)[0]
        return {"ok": True, "file_id": name, "upload_url": f"{base}/upload/{name}"}

    def _complete(self, said: dict[str, Any]) -> dict[str, Any]:
        files = said["files"] if isinstance(said["files"], list) else json.loads(said["files"])
        for each in files:
            known = self._files.get(each["id"])
            if known is None or len(known.get("data", b"")) != known["length"]:
                return {"ok": False, "error": "file_not_found"}
            self.uploads.append({**known, **each, "channel": said["channel_id"], "thread_ts": said.get("thread_ts")})
        return {"ok": True, "files": files}

    def _wrong(self, said: dict[str, Any], channels: tuple[str, ...]) -> dict[str, Any] | None:
        if said.get("channel") not in channels:
            return {"ok": False, "error": "channel_not_found"}
        if found := problems(said):
            self.refused.append(found)
            return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": found}}
        return None

    def receive(self, name: str, data: bytes) -> None:
        """Take the bytes of a file."""
        self._files[name]["data"] = data


_METHODS: dict[str, Callable[[FakeSlack, dict[str, Any]], dict[str, Any]]] = {
    "chat.postMessage": FakeSlack._post,
    "chat.update": FakeSlack._update,
    "chat.postEphemeral": FakeSlack._whisper,
    "conversations.history": FakeSlack._history,
    "files.getUploadURLExternal": FakeSlack._upload_address,
    "files.completeUploadExternal": FakeSlack._complete,
}


def texts(message: dict[str, Any]) -> str:
    """Give everything that a message says."""
    return str(message["blocks"])


class _Handler(BaseHTTPRequestHandler):
    slack: FakeSlack

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/upload/"):
            self.slack.receive(self.path.removeprefix("/upload/"), body)
            self._send(200, b"OK")
            return
        method = self.path.removeprefix("/api/")
        fault = self.slack.fault(method)
        if fault is None or fault.kind == "drop":
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            answer = self.slack.answer(method, token, self._said(body))
            if fault is None:
                self._send(200, json.dumps(answer).encode())
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._misbehave(fault)

    def _misbehave(self, fault: Fault) -> None:
        if fault.kind == "429":
            self._send(429, b'{"ok": false, "error": "ratelimited"}', {"Retry-After": str(int(fault.seconds))})
        elif fault.kind == "500":
            self._send(500, b"oops")
        elif fault.kind == "html":
            self._send(200, b"<html>a proxy's login page</html>")
        elif fault.kind == "hang":
            self._stall(fault.seconds)
        elif fault.kind == "dribble":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            self._stall(fault.seconds, b" ")

    def _stall(self, seconds: float, byte: bytes = b"") -> None:
        """Keep the client waiting until it goes away or the time is over."""
        end = time.monotonic() + seconds
        self.connection.settimeout(0.1)
        while time.monotonic() < end:
            try:
                if byte:
                    self.wfile.write(byte)
                    self.wfile.flush()
                    time.sleep(0.1)
                elif not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _said(self, body: bytes) -> dict[str, Any]:
        if "json" in (self.headers.get("Content-Type") or ""):
            said: dict[str, Any] = json.loads(body)
            return said
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients go away in these tests."""


@contextmanager
def fake_slack() -> Iterator[FakeSlack]:
    """Run a Slack on a free loopback port."""
    slack = FakeSlack()
    handler = type("Handler", (_Handler,), {"slack": slack})
    server = _Server(("127.0.0.1", 0), handler)
    slack.url = f"http://127.0.0.1:{server.server_address[1]}/api/"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
