"""Which messages came back, in which run, as what: by identity, across runs.

How to read what a run left behind:

- `stopped(record)`: the signatures that the run stopped, why, how many of them it had sent, how many bounced, and
  which signatures they came back with (an application may write another error the next time). It is in the ledger.
- `left(queue, config, keys)`: how many messages of some signatures lie in the DLQ now. For what is left of a run's
  stopped signatures ask for `{key for s in stopped(record) for key in (s.key, *s.became)}`.
- `poison(notebook)`: the identities that bounced so often that drains put them into the quarantine, with their history.

Only identities that bounced are kept, `MOST` of them at most, and for as long as the ledger.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dlq.engine.assess import assess
from dlq.records.notebook import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.queues import QueueConfig
    from dlq.records.ledger import RunRecord
    from dlq.records.notebook import Notebook

MOST = 100_000
"""Identities whose bounces are counted across runs, in one generation of 30 days; also bounces noted of one run."""
_LONGEST = 10  # bounces that a history tells; it counts on
_GENERATION_MS = 30 * 86_400_000
_POISON = "poison"


@dataclass(frozen=True, slots=True)
class Bounce:
    """One message of a run that came back. `name` is the arrival: the identity and its number among the arrivals."""

    name: str
    identity: bytes
    wave: int
    key: str
    """The signature with which it was redriven."""
    became: str
    """The signature with which it came back."""


@dataclass(frozen=True, slots=True)
class Return:
    """One line of a history: which run redrove the message, when it was seen back, and with which error."""

    run_id: str
    at: datetime
    key: str
    became: str


@dataclass(frozen=True, slots=True)
class History:
    """The bounces of one identity: how many, and the last few of them."""

    identity: bytes
    bounces: int
    returns: tuple[Return, ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A signature that a run stopped. Counts are messages."""

    key: str
    why: str
    sent: int
    bounced: int
    became: Mapping[str, int]


def noted_bounces(notebook: Notebook, run_id: str) -> dict[str, str]:
    """Give the bounces of a run as they are noted: by arrival, `wave key became`."""
    return notebook.notes(_topic(run_id))


def note_bounces(notebook: Notebook, run_id: str, config: QueueConfig, bounces: Sequence[Bounce]) -> None:
    """Note bounces of a run, and add them to the histories of their identities; the same ones twice count once."""
    now = int(time.time() * 1000)
    generation = now // _GENERATION_MS
    page = f"bounces:{generation}"
    names = [b.identity.hex() for b in bounces]
    known = notebook.pick(f"bounces:{generation - 1}", names) | notebook.pick(page, names)
    fields: dict[str, str] = {}
    for bounce in bounces:
        name = bounce.identity.hex()
        history: dict[str, Any] = json.loads(fields.get(name) or known.get(name) or '{"n": 0, "log": []}')
        if any(line[0] == run_id for line in history["log"]):
            continue
        history["n"] += 1
        history["log"] = [*history["log"], [run_id, now, bounce.key, bounce.became]][-_LONGEST:]
        fields[name] = json.dumps(history)
    new = [name for name in fields if name not in known]
    room = MOST - notebook.count("bounces:kept", str(generation), len(new))
    for name in new[max(0, len(new) + min(0, room)) :]:  # a full page takes no new ones, and goes on with the known
        del fields[name]
    notebook.note(page, fields)
    _note_poison(notebook, config.loop.poison_after, fields)
    # Last: what stands on the run's page is not looked at again, so all else must have been noted by then.
    notebook.note(_topic(run_id), {b.name: f"{b.wave} {b.key} {b.became}" for b in bounces})


def poison(notebook: Notebook, after: int) -> dict[bytes, History]:
    """Give the identities that bounced at least `after` times, with their history."""
    found = {name: _history(name, text) for name, text in notebook.notes(_POISON).items()}
    return {history.identity: history for history in found.values() if history.bounces >= after}


def stopped(record: RunRecord) -> tuple[Stopped, ...]:
    """Give the signatures that a run stopped, from its ledger."""
    return tuple(Stopped(**said) for said in json.loads(record.facts.get("stopped") or "[]"))


def stopped_fact(notebook: Notebook, run_id: str, reasons: Mapping[str, str], sent: Mapping[str, int]) -> str:
    """Render, for the ledger, the signatures that a run stopped."""
    became: dict[str, Counter[str]] = {key: Counter() for key in reasons}
    for text in noted_bounces(notebook, run_id).values():
        _, key, back = text.split(" ")
        if key in became:
            became[key][back] += 1
    return json.dumps(
        [
            {"key": key, "why": why, "sent": sent.get(key, 0), "bounced": became[key].total(), "became": became[key]}
            for key, why in sorted(reasons.items())
        ]
    )


def left(queue: DeadLetterQueue, config: QueueConfig, keys: Iterable[str]) -> dict[str, int]:
    """Count the messages of some signatures in the DLQ, which is read once; those that have none are left out."""
    wanted = set(keys)
    counts = {seen.signature.key: seen.count for seen in assess(queue, config).signatures}
    return {key: count for key, count in counts.items() if key in wanted}


def _note_poison(notebook: Notebook, after: int, fields: Mapping[str, str]) -> None:
    """Put what has bounced often enough on the page of poison, and its history into the log."""
    found = {name: text for name, text in fields.items() if json.loads(text)["n"] >= after}
    notebook.note(_POISON, found)
    for name, text in found.items():
        notebook.append(_POISON, Entry(datetime.now(UTC), f"{name} {text}"))


def _history(name: str, text: str) -> History:
    said = json.loads(text)
    returns = tuple(
        Return(run_id, datetime.fromtimestamp(at / 1000, UTC), key, became) for run_id, at, key, became in said["log"]
    )
    return History(bytes.fromhex(name), said["n"], returns)


def _topic(run_id: str) -> str:
    return f"run:{run_id}:bounces"
