"""What the receiver remembers of a queue: its automatic incidents and the alerts that belong to them.

All of it lies in the queue's notebook, so a restarted receiver and two of them at once know the same. An incident is
*claimed* before its run is created: `note_once` lets one alert win number n, and the claim holds everything that the
run is made of. Whoever finds a claim without a run creates that run, with the claim's idempotency key:

- died after the claim, before the run: the next alert on the queue, or the same one sent again, creates it;
- died after the run, before it was noted: the same key gives the same run back, and it is noted then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import orjson

from deployments.receiver.starting import Order, Seen
from dlq.engine.run import run_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dlq.records.notebook import Notebook

_CLAIMS = "incidents"
_FIRING, _RESOLVED = "firing", "resolved"
HOUR = timedelta(hours=1)
"""The span of the cap; a claim whose run nobody could create for so long is void."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An automatic incident of a queue: its claim and, once that is created, its run."""

    number: int
    at: datetime
    order: Order
    flow_run: UUID | None = None
    run_id: str = ""
    """Name of the run in the ledger."""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a queue: its newest incident, how many there were in the last hour, and its alerts."""

    last: int
    """The highest number that was claimed, void ones too."""
    newest: Incident | None
    lately: int
    alerts: dict[str, str] = field(default_factory=dict)
    """The alerts of the newest incident, by key."""

    def firing(self, key: str) -> bool:
        """Say whether an alert belongs to the newest incident and has not resolved."""
        return self.alerts.get(key, "").startswith(_FIRING)

    def others_firing(self, keys: Iterable[str]) -> int:
        """Count the alerts of the newest incident that have not resolved, besides these."""
        these = set(keys)
        return sum(said.startswith(_FIRING) for key, said in self.alerts.items() if key not in these)


def standing(notebook: Notebook) -> Standing:
    """Read what is known of a queue."""
    page = notebook.notes(_CLAIMS)
    numbers = sorted(int(name) for name in page if name.isdigit())
    now = datetime.now(UTC)
    found = [_read(number, page) for number in numbers]
    held = [incident for incident in found if incident.flow_run is not None or now - incident.at < HOUR]
    lately = sum(now - incident.at < HOUR for incident in held)
    newest = held[-1] if held else None
    alerts = notebook.notes(_alerts(newest.number)) if newest else {}
    return Standing(numbers[-1] if numbers else 0, newest, lately, alerts)


def claim(notebook: Notebook, known: Standing, order: Order) -> bool:
    """Claim the next incident of a queue; False when another alert was faster."""
    said = {
        "at": datetime.now(UTC).isoformat(),
        "order": {name: getattr(order, name) for name in Order.__slots__},
        "nonce": uuid4().hex,
    }
    text = orjson.dumps(said).decode()
    won = notebook.note_once(_CLAIMS, str(known.last + 1), text) == text
    if won:
        _forget(notebook, known.last)
    return won


def note_run(notebook: Notebook, number: int, queue: str, seen: Seen) -> str:
    """Note the run of an incident; give its name in the ledger."""
    run_id = run_id_of(queue, seen.created, seen.id)
    notebook.note(_CLAIMS, {f"{number}:run": f"{seen.id} {run_id}"})
    return run_id


def note_end(notebook: Notebook, number: int, ended: datetime) -> None:
    """Note when the run of an incident ended, so that nobody needs to ask Prefect again."""
    notebook.note(_CLAIMS, {f"{number}:end": ended.isoformat()})


def forget_end(notebook: Notebook, number: int) -> None:
    """Take back that an incident ended: somebody has its run tried again."""
    notebook.erase(_CLAIMS, f"{number}:end")


def withdraw(notebook: Notebook, incident: Incident) -> None:
    """Take back a claim whose run can never be created, unless another alert has claimed its number since."""
    page = notebook.notes(_CLAIMS)
    if str(incident.number) in page and _read(incident.number, page).order == incident.order:
        notebook.erase(_CLAIMS, str(incident.number))


def note_firing(notebook: Notebook, number: int, key: str) -> bool:
    """Note that an alert belongs to an incident; False when it did already."""
    text = f"{_FIRING} {uuid4().hex}"
    return notebook.note_once(_alerts(number), key, text) == text


def note_resolved(notebook: Notebook, number: int, keys: Iterable[str]) -> None:
    """Note that alerts of an incident have resolved."""
    notebook.note(_alerts(number), dict.fromkeys(keys, _RESOLVED))


def note_own_run(notebook: Notebook, key: str, run_id: str) -> None:
    """Note that an alert has a run of its own: it shall never have another."""
    notebook.note(_own(key), {"run": run_id})


def own_run(notebook: Notebook, key: str) -> str | None:
    """Name the run that an alert has had of its own, in whichever incident; None when it has had none."""
    return notebook.notes(_own(key)).get("run")


def trip(notebook: Notebook, known: Standing) -> bool:
    """Note that the cap held an alert back; True the first time since the newest incident."""
    text = uuid4().hex
    return notebook.note_once("incidents-cap", str(known.last), text) == text


def _forget(notebook: Notebook, last: int) -> None:
    """Take claims off the page that neither the cap nor anybody else needs: older than two hours, not the newest."""
    page = notebook.notes(_CLAIMS)
    line = datetime.now(UTC) - 2 * HOUR
    old = [n for n in (int(name) for name in page if name.isdigit()) if n < last and _read(n, page).at < line]
    names = [name for n in old for name in (str(n), f"{n}:run", f"{n}:end")]
    if names:
        notebook.erase(_CLAIMS, *names)


def _read(number: int, page: Mapping[str, str]) -> Incident:
    said = orjson.loads(page[str(number)])
    order = Order(**{**said["order"], "tags": tuple(said["order"]["tags"])})
    flow_run, _, run_id = page.get(f"{number}:run", "").partition(" ")
    ended = page.get(f"{number}:end")
    return Incident(
        number,
        datetime.fromisoformat(said["at"]),
        order,
        UUID(flow_run) if flow_run else None,
        run_id,
        datetime.fromisoformat(ended) if ended else None,
    )


def _alerts(number: int) -> str:
    return f"incident:{number}:alerts"


def _own(key: str) -> str:
    return f"alert:{key}"
