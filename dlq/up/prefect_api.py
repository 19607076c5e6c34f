"""The few calls that `dlq up`, `dlq approve` and the demo make to a Prefect server, over its REST API.

https://docs.prefect.io/v3/api-ref/rest-api - the domain does not import Prefect, so this speaks HTTP.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from dlq.embedded.redis import HOST
from dlq.up.errors import PrefectApiError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_OK: Final = range(200, 300)
_TIMEOUT: Final = 15.0
_AGAIN_SECONDS: Final = 0.1
_SHORT_TIMEOUT: Final = 2.0  # of a look at the health, which is repeated


@dataclass(frozen=True, slots=True)
class FlowRunState:
    """A flow run and its state: type such as RUNNING, name such as Late, and its message."""

    id: str
    type: str
    name: str
    message: str

    @classmethod
    def of(cls, flow_run: dict[str, Any]) -> FlowRunState:
        """Take it from what the API says of a flow run."""
        state = flow_run.get("state") or {}
        return cls(
            flow_run["id"], state.get("type", "PENDING"), state.get("name", "Pending"), state.get("message") or ""
        )

    @property
    def ended(self) -> bool:
        """Whether the flow run will not change any more."""
        return self.type in TERMINAL


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """A Prefect server, by default on a loopback port; see `dlq/up/prefect_access.py` for any other.

    `auth` is its PREFECT_SERVER_API_AUTH_STRING, if it has one, and goes before an API key, as it does in Prefect.
    """

    port: int
    auth: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    host: str = HOST
    path: str = "/api"
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """The address for PREFECT_API_URL."""
        return f"{self.ui}{self.path}"

    @property
    def ui(self) -> str:
        """The address of the server's UI."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def page(self, flow_run: str) -> str:
        """Give the address of a flow run in the server's UI."""
        return f"{self.ui}/runs/flow-run/{flow_run}"

    def healthy(self) -> bool:
        """Say whether the server answers and its database does."""
        with suppress(PrefectApiError):
            self.call("GET", "/ready", timeout=_SHORT_TIMEOUT)
            return True
        return False

    def served_since(self, deployment: str, moment: float) -> bool:
        """Say whether a runner has asked for runs of a deployment (`flow/name`) after a moment (Unix time)."""
        with suppress(PrefectApiError):
            polled = self.call("GET", f"/deployments/name/{deployment}", timeout=_SHORT_TIMEOUT)["last_polled"]
            return polled is not None and datetime.fromisoformat(polled).timestamp() >= moment
        return False

    def deployment(self, name: str, seconds: float, check: Callable[[], None]) -> str:
        """Wait until a deployment (`flow/name`) is there; give its id."""
        deadline = time.monotonic() + seconds
        while True:
            check()
            try:
                found = self.call("GET", f"/deployments/name/{name}")
            except PrefectApiError as exc:
                if time.monotonic() > deadline:
                    raise PrefectApiError(f"The deployment {name} was not served after {seconds:.0f} s.") from exc
                time.sleep(0.25)
            else:
                return str(found["id"])

    def create_flow_run(self, deployment: str, name: str, parameters: dict[str, Any]) -> str:
        """Create a flow run that begins at once; give its id."""
        asked = {"name": name, "parameters": parameters}
        return str(self.call("POST", f"/deployments/{deployment}/create_flow_run", asked)["id"])

    def state(self, flow_run: str) -> FlowRunState:
        """Look how a flow run is."""
        return FlowRunState.of(self.call("GET", f"/flow_runs/{flow_run}"))

    def flow_runs(self, *types: str, timeout: float = _TIMEOUT) -> list[dict[str, Any]]:
        """Read the newest flow runs (200 at most), or those in states of some types; each as the API says it."""
        asked: dict[str, Any] = {"sort": "EXPECTED_START_TIME_DESC"}
        if types:
            asked["flow_runs"] = {"state": {"type": {"any_": list(types)}}}
        found: list[dict[str, Any]] = self.call("POST", "/flow_runs/filter", asked, timeout)
        return found

    def set_state(self, flow_run: str, state: dict[str, Any]) -> None:
        """Put a flow run into a state, whatever it is in."""
        self.call("POST", f"/flow_runs/{flow_run}/set_state", {"state": state, "force": True})

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float = _TIMEOUT) -> Any:
        """Call the API and give the answer; PrefectApiError when it does not come or is not 2xx.

        503 is asked again: the server says it when SQLite was busy and nothing was written.
        """
        deadline = time.monotonic() + timeout
        while True:
            status, text = self._send(method, path, body, timeout)
            if status in _OK:
                return _read(method, path, text)
            if status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                said = text[:300].decode(errors="replace")
                raise PrefectApiError(f"{method} {path} was refused: {said}", status=status)
            time.sleep(_AGAIN_SECONDS)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> tuple[int, bytes]:
        connection = self._connection(timeout)
        headers = {"Content-Type": "application/json", **self._credentials()}
        try:
            connection.request(method, f"{self.path}{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise PrefectApiError(f"{method} {path} got no answer: {exc}.") from exc
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)

    def _credentials(self) -> dict[str, str]:
        if self.auth:
            return {"Authorization": f"Basic {base64.b64encode(self.auth.encode()).decode()}"}
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def _read(method: str, path: str, text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as exc:
        raise PrefectApiError(f"{method} {path} got an answer that is no JSON.") from exc
