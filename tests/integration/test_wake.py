"""`dlq approve` wakes a flow run on the server that Prefect's own variables name: a real one, with a password."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from dlq.admission import approvals
from dlq.brokers.opening import open_notebook
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.up.prefect_api import PrefectApi
from flows.admission import ApprovalForm
from tests.certificates import make_certificates
from tests.prefect_site import PrefectSite, free_port
from tests.unit.test_plan import plan

pytestmark = pytest.mark.timeout(300)
PASSWORD = "canary-of-prefect"  # noqa: S105 - made up
AUTH = f"admin:{PASSWORD}"
RUN = "webhooks-2026-11-25-1200-abcdef"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    """Run a Prefect server that wants a password."""
    folder = tmp_path_factory.mktemp("prefect")
    with PrefectSite(folder, {"PREFECT_SERVER_API_AUTH_STRING": AUTH}, serving=False) as site:
        yield site


@dataclass
class World:
    """A server, and a run of the ledger whose flow run waits on it."""

    api: PrefectApi
    flow_run: str
    environment: dict[str, str]

    def approve(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Say `dlq approve`; nothing of the tests' own Prefect is in its environment."""
        program = [sys.executable, "-m", "dlq", "approve", RUN, "--json"]
        env = self.environment | environment
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False, timeout=120)

    def answer(self) -> approvals.Decision | None:
        """Read the answer that is kept."""
        with open_notebook(load_settings(), "webhooks") as notebook:
            asked = approvals.asked(notebook, RUN)
            assert asked is not None
            return approvals.decision(notebook, RUN, asked.plan.hash)


@pytest.fixture
def world(site: PrefectSite, embedded_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let a run wait for an answer, in the ledger and on the server."""
    monkeypatch.chdir(tmp_path)
    settings = {"DLQ_REDIS_URL": embedded_server.url, "DLQ_HOME": str(tmp_path), "DLQ_UI_PORT": str(free_port())}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
    api = PrefectApi(site.port, AUTH)
    flow_run = waiting(api)
    with open_notebook(load_settings(), "webhooks") as notebook:
        approvals.ask(notebook, RUN, plan(), ("the queue is at level 3",), timedelta(hours=4), flow_run)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DLQ_"))}
    return World(api, flow_run, inherited | settings)


def waiting(api: PrefectApi) -> str:
    """Make a flow run that waits for the form of an approval; give its id."""
    keyset = {part: f"paused-1-{part}" for part in ("description", "response", "schema")}
    details = {
        "pause_timeout": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "pause_key": "1",
        "run_input_keyset": keyset,
    }
    flow = api.call("POST", "/flows/", {"name": "drain"})["id"]
    state = {"type": "PAUSED", "name": "Paused", "state_details": details}
    run: str = api.call("POST", "/flow_runs/", {"flow_id": flow})["id"]
    api.set_state(run, state)
    schema = json.dumps(ApprovalForm.model_json_schema())
    api.call("POST", f"/flow_runs/{run}/input", {"key": keyset["schema"], "value": schema})
    return run


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read what the command printed; the password is nowhere in it."""
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_wakes_a_run_of_a_server_with_a_password(world: World, site: PrefectSite) -> None:
    """The flow run goes on and is given the answer, one without a why too."""
    told = said(world.approve(PREFECT_API_URL=f"{site.url}/api", PREFECT_API_AUTH_STRING=AUTH))
    assert (told["woken"], told["not_woken"]) == (True, None)
    assert world.api.state(world.flow_run).type == "RUNNING"
    given = world.api.call("GET", f"/flow_runs/{world.flow_run}/input/paused-1-response")
    assert (given["answer"], given["who"]) == ("approve", told["who"])
    again = said_again(world.approve(PREFECT_API_URL=f"{site.url}/api", PREFECT_API_AUTH_STRING=AUTH))
    assert "does not wait any more" in again["not_woken"]


def said_again(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read what a second answer is told, which does not stand."""
    assert done.returncode == 3
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def tls_front(folder: Path, port: int) -> Iterator[tuple[int, Path]]:
    """Speak TLS in front of a server on a port; give the front's port and the file of its authority."""

    class Front(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Pass it on."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            behind = HTTPConnection("127.0.0.1", port)
            behind.request("POST", self.path, body, dict(self.headers))
            answer = behind.getresponse()
            text = answer.read()
            behind.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    files = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], files["ca"]
        server.shutdown()
        thread.join()


def test_it_speaks_tls_and_checks_whom_it_speaks_to(world: World, site: PrefectSite, tmp_path: Path) -> None:
    """An authority that nobody named is refused before the password is sent; one that is named is trusted."""
    with tls_front(tmp_path, site.port) as (port, authority):
        access = {"PREFECT_API_URL": f"https://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": AUTH}
        told = said(world.approve(**access))
        assert "CERTIFICATE_VERIFY_FAILED" in told["not_woken"]
        assert world.api.state(world.flow_run).type == "PAUSED"
        world.approve(**access, PREFECT_API_SSL_CERT_FILE=str(authority))
        assert world.api.state(world.flow_run).type == "RUNNING"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PREFECT_API_URL": "{url}/api"}, "refused the credentials (HTTP 401)"),
        ({"PREFECT_API_URL": "{url}/api", "PREFECT_API_AUTH_STRING": f"{AUTH}-wrong"}, "PREFECT_API_AUTH_STRING"),
        ({"PREFECT_API_URL": "{url}/api", "PREFECT_API_KEY": PASSWORD}, "refused the credentials (HTTP 401)"),
        ({"PREFECT_API_URL": f"http://admin:{PASSWORD}@127.0.0.1:9/api"}, "gave no usable answer"),
        ({"PREFECT_API_URL": "{url}/elsewhere", "PREFECT_API_AUTH_STRING": AUTH}, "look at PREFECT_API_URL"),
        ({"PREFECT_API_URL": f"ftp://admin:{PASSWORD}@somewhere"}, "not the address of an API"),
        ({}, "gave no usable answer"),
    ],
)
def test_an_answer_that_wakes_nobody_is_kept(
    world: World, site: PrefectSite, environment: dict[str, str], words: str
) -> None:
    """It says why in words, without a password, that the answer is kept, and when it is read."""
    told = said(world.approve(**{name: value.format(url=site.url) for name, value in environment.items()}))
    assert words in told["not_woken"]
    assert told["woken"] is False
    assert "kept" in told["kept"]
    assert "reminder" in told["kept"]
    kept = world.answer()
    assert kept is not None
    assert (kept.approved, kept.who) == (True, told["who"])
    assert world.api.state(world.flow_run).type == "PAUSED"
