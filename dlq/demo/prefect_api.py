"""The few calls that the demo makes to a Prefect server on this machine, over its REST API.

https://docs.prefect.io/v3/api-ref/rest-api - the domain does not import Prefect, so this speaks HTTP.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dlq.errors import DlqError

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
TERMINAL: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_OK: Final = range(200, 300)


class PrefectApiError(DlqError):
    """The Prefect server did not do what it was asked for."""

    advice = "See the server's log in the demo's folder."


@dataclass(frozen=True, slots=True)
class FlowRunState:
    """The state of a flow run: type such as RUNNING, name such as Late, and its message."""

    type: str
    name: str
    message: str

    @property
    def ended(self) -> bool:
        """Whether the flow run will not change any more."""
        return self.type in TERMINAL


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """A Prefect server on a loopback port."""

    port: int

    @property
    def url(self) -> str:
        """The address for PREFECT_API_URL."""
        return f"http://{HOST}:{self.port}/api"

    def page(self, flow_run: str) -> str:
        """Give the address of a flow run in the server's UI."""
        return f"http://{HOST}:{self.port}/runs/flow-run/{flow_run}"

    def wait_until_healthy(self, seconds: float, check: Callable[[], None]) -> None:
        """Wait until the server answers; `check` raises when its process has ended."""
        deadline = time.monotonic() + seconds
        while True:
            check()
            try:
                self._call("GET", "/health")
            except PrefectApiError as exc:
                if time.monotonic() > deadline:
                    raise PrefectApiError(f"The Prefect server was not healthy after {seconds:.0f} s.") from exc
                time.sleep(0.25)
            else:
                return

    def deployment(self, name: str, seconds: float, check: Callable[[], None]) -> str:
        """Wait until a deployment (`flow/name`) is there and its runner polls; give its id."""
        deadline = time.monotonic() + seconds
        while True:
            check()
            try:
                found = self._call("GET", f"/deployments/name/{name}")
            except PrefectApiError as exc:
                if time.monotonic() > deadline:
                    raise PrefectApiError(f"The deployment {name} was not served after {seconds:.0f} s.") from exc
                time.sleep(0.25)
            else:
                return str(found["id"])

    def create_flow_run(self, deployment: str, name: str, parameters: dict[str, Any]) -> str:
        """Create a flow run that begins at once; give its id."""
        asked = {"name": name, "parameters": parameters}
        return str(self._call("POST", f"/deployments/{deployment}/create_flow_run", asked)["id"])

    def state(self, flow_run: str) -> FlowRunState:
        """Look how a flow run is."""
        state = self._call("GET", f"/flow_runs/{flow_run}").get("state") or {}
        return FlowRunState(state.get("type", "PENDING"), state.get("name", "Pending"), state.get("message") or "")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=15)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/api{path}", sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise PrefectApiError(f"{method} {path} got no answer: {exc}.") from exc
        finally:
            connection.close()
        if answer.status not in _OK:
            raise PrefectApiError(
                f"{method} {path} was refused: {text[:300].decode(errors='replace')}", status=answer.status
            )
        return json.loads(text) if text else None
