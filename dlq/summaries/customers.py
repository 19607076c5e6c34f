"""Whose messages lie in a DLQ: the ids of affected customers, by a field that the settings name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from dlq.brokers.base import Place
from dlq.engine.assess import oldest_first
from dlq.fields import FieldPath

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.config.settings import QueueConfig
    from dlq.records.notebook import Notebook

MOST_COUNTED = 20_000
"""Customers that are told apart; messages of further ones are counted together."""
MOST_KEPT = 1_000
"""Customers whose ids are kept, those with the most messages."""
_LONGEST = 100  # characters of an id


@dataclass(frozen=True, slots=True)
class Affected:
    """Customers and how many messages of each lay in the DLQ, the most affected first.

    `customers` counts all that were told apart, `ids` may be fewer. `others` are messages of customers beyond those,
    `unknown` messages that do not say whose they are.
    """

    ids: dict[str, int]
    customers: int
    others: int
    unknown: int


def affected(queue: DeadLetterQueue, config: QueueConfig) -> Affected | None:
    """Read the DLQ once and count messages by customer; None when the settings name no field for it."""
    if config.fields.customer is None:
        return None
    path = FieldPath.parse(config.fields.customer)
    counts: Counter[str] = Counter()
    others = unknown = 0
    for chunk in oldest_first(queue, Place.DLQ, queue.depth(Place.DLQ)):
        for message in chunk:
            whose = _customer(message, path)
            if whose is None:
                unknown += 1
            elif whose in counts or len(counts) < MOST_COUNTED:
                counts[whose] += 1
            else:
                others += 1
    return Affected(dict(counts.most_common(MOST_KEPT)), len(counts), others, unknown)


def remember(notebook: Notebook, run_id: str, found: Affected) -> Affected:
    """Keep what was found before a run moved anything, for its report; the first that was found stands."""
    stands = notebook.note_once(f"run:{run_id}:customers", "affected", orjson.dumps(found).decode())
    return Affected(**orjson.loads(stands))


def remembered(notebook: Notebook, run_id: str) -> Affected | None:
    """Give what was kept for a run."""
    said = notebook.notes(f"run:{run_id}:customers").get("affected")
    return Affected(**orjson.loads(said)) if said else None


def _customer(message: bytes, path: FieldPath) -> str | None:
    """Read the customer's id; None when there is none that can be used."""
    try:
        value = path.get(orjson.loads(message))
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)[:_LONGEST] or None
