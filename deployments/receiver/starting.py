"""Runs of Prefect deployments: created by name with an idempotency key, looked at, cancelled; bounded in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse, OrchestrationResult
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Cancelling

from dlq.errors import PrefectUnreachableError, RunRefusedError

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds for one call of Prefect; a request of ours makes four at most."""
_DOWN = 1.0  # seconds in which a Prefect that did not answer is not asked again
_KNOWN = 60.0  # seconds for which a deployment's id is believed
_REFUSALS = {400, 409, 413, 422}
_LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)  # a connection that a restart left behind
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # seconds; SQLite under Prefect answers 503 while somebody else writes
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """A flow run as Prefect has it. `ended` is when it came to its end; None: it has not."""

    id: UUID
    created: datetime
    state: str
    ended: datetime | None

    @property
    def waits(self) -> bool:
        """Say whether no process works on it yet, or any more until somebody answers."""
        return self.state in {"SCHEDULED", "PENDING", "PAUSED"}


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be created. The same key is the same run, whoever orders it and however often."""

    deployment: str
    key: str
    name: str
    parameters: dict[str, Any]
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Prefect:
    """The few things that the receiver asks of a Prefect server."""

    client: PrefectClient
    _deployments: dict[str, tuple[float, DeploymentResponse]] = field(default_factory=dict)
    _down: tuple[float, str] = (0.0, "")
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def create(self, order: Order) -> Seen:
        """Create the run of an order, or give the one that its key made before.

        PrefectUnreachableError when it should be tried again, RunRefusedError when that can never work.
        """
        deployment = await self._deployment(order.deployment)
        takes = set((deployment.parameter_openapi_schema or {}).get("properties", {}))
        optional = {"alert", "reason"} - takes
        parameters = {name: value for name, value in order.parameters.items() if name not in optional}
        try:
            made = await self._change(
                lambda: self.client.create_flow_run_from_deployment(
                    deployment.id,
                    parameters=parameters,
                    idempotency_key=order.key,
                    name=order.name,
                    tags=order.tags,
                )
            )
        except PrefectHTTPStatusError as exc:
            self._deployments.pop(order.deployment, None)  # 404: it was deployed anew under another id
            raise self._refused(order, exc) from exc
        return _seen(made)

    async def look(self, flow_run: UUID) -> Seen | None:
        """Look how a run is; None when Prefect does not know it any more."""
        try:
            return _seen(await self._ask(lambda: self.client.read_flow_run(flow_run)))
        except ObjectNotFound:
            return None

    async def cancel(self, flow_run: UUID, why: str) -> None:
        """Cancel a run that waits; Prefect does not let go of the end of one that has ended."""
        done: OrchestrationResult[Any] = await self._change(
            lambda: self.client.set_flow_run_state(flow_run, Cancelling(message=why))
        )
        if done.state is not None and done.state.is_cancelled() and not done.state.message:
            # There was no process to be killed: Prefect has cancelled it at once, and dropped the reason.
            state: State[Any] = Cancelled(message=why)
            await self._change(lambda: self.client.set_flow_run_state(flow_run, state, force=True))

    async def resume(self, flow_run: UUID, said: dict[str, Any]) -> bool:
        """Let a run go on that waits for a person, with the answer in its form; False: it waits no longer."""
        run = await self._ask(lambda: self.client.read_flow_run(flow_run))
        if run.state is None or not run.state.is_paused():
            return False
        await self._change(lambda: self.client.resume_flow_run(flow_run, run_input=said))
        return True

    async def answers(self, patience: float) -> str:
        """Say why the server does not answer; an empty text: it does."""
        try:
            async with asyncio.timeout(patience):
                error = await self.client.api_healthcheck()
        except TimeoutError:
            return f"no answer within {patience:g} s"
        return f"{type(error).__name__}" if error else ""

    async def _deployment(self, name: str) -> DeploymentResponse:
        until, known = self._deployments.get(name, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        try:
            found = await self._ask(lambda: self.client.read_deployment_by_name(name))
        except ObjectNotFound as exc:
            # Nobody serves it yet, or at the moment; whoever sends the alert again will find it served.
            raise PrefectUnreachableError(f"Prefect has no deployment {name}; is `deployments.serve` running?") from exc
        self._deployments[name] = (time.monotonic() + _KNOWN, found)
        return found

    async def _change(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask for one change at a time: of two at once the SQLite under Prefect refuses one, after seconds at worst."""

        async def alone() -> T:
            async with self._changing:
                return await call()

        return await self._ask(alone)

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask Prefect; after a failure it is left alone for a moment, so that a storm does not wait in a queue."""
        until, why = self._down
        if time.monotonic() < until:
            raise PrefectUnreachableError(why)
        try:
            async with asyncio.timeout(PATIENCE):
                return await _persistent(call)
        except TimeoutError as exc:
            raise self._is_down(f"Prefect did not answer within {PATIENCE:.0f} s.") from exc
        except httpx.TransportError as exc:
            raise self._is_down(f"Prefect does not answer ({type(exc).__name__}).") from exc
        except PrefectHTTPStatusError as exc:
            status = exc.response.status_code
            if status in _REFUSALS | {404}:
                raise
            raise self._is_down(f"Prefect answered {status}.") from exc

    def _is_down(self, why: str) -> PrefectUnreachableError:
        self._down = (time.monotonic() + _DOWN, why)
        return PrefectUnreachableError(why)

    @staticmethod
    def _refused(order: Order, exc: PrefectHTTPStatusError) -> PrefectUnreachableError | RunRefusedError:
        if exc.response.status_code not in _REFUSALS:
            return PrefectUnreachableError(f"Prefect answered {exc.response.status_code}.")
        why = exc.response.text[:_SHOWN]
        return RunRefusedError(f"Prefect refused a run of {order.deployment}: {why}")


async def _persistent(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call again that a restart or a busy database cut off; every call here may be made twice."""
    for pause in _PAUSES:
        try:
            return await call()
        except _LOST:
            continue
        except PrefectHTTPStatusError as exc:
            if exc.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            await asyncio.sleep(pause)
    return await call()


def page(flow_run: UUID) -> str:
    """Give the address of a run in Prefect's UI."""
    base = (get_current_settings().ui_url or "").rstrip("/")
    return f"{base}/runs/flow-run/{flow_run}"


def _seen(run: FlowRun) -> Seen:
    state = run.state
    ended = (run.end_time or state.timestamp) if state is not None and state.is_final() else None
    created = run.created or datetime.now(UTC)
    return Seen(run.id, created, state.type.value if state else "SCHEDULED", ended)
