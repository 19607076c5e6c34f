"""What became of each signature in earlier runs: the bounce rate that a plan may expect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from dlq.messages.signatures import Signature
from dlq.records.ledger import unpack_signatures

if TYPE_CHECKING:
    from dlq.brokers.base import DeadLetterQueue
    from dlq.engine.verify import Outcome
    from dlq.records.notebook import Notebook

_PAGE: Final = "signature-outcomes"
_RUNS: Final = 5  # newest runs of a signature that count: what was true a month ago says little


def note_outcome(queue: DeadLetterQueue, notebook: Notebook, outcome: Outcome) -> None:
    """Note delivered and bounced of each signature of a run; verified again, the run's newest outcome counts."""
    names = unpack_signatures(queue.signatures(outcome.run_id))
    page = notebook.notes(_PAGE)
    fields = {}
    for seen in outcome.signatures:
        if seen.code not in names or not seen.delivered + seen.bounced:
            continue
        key = Signature(*names[seen.code]).key
        runs: dict[str, list[int]] = json.loads(page.get(key, "{}"))
        runs.pop(outcome.run_id, None)
        runs[outcome.run_id] = [seen.delivered, seen.bounced]
        fields[key] = json.dumps(dict(list(runs.items())[-_RUNS:]))
    notebook.note(_PAGE, fields)


def bounce_rates(notebook: Notebook) -> dict[str, float]:
    """Give the share of messages that bounced in the last runs, by signature key."""
    rates = {}
    for key, said in notebook.notes(_PAGE).items():
        counts = json.loads(said).values()
        rates[key] = sum(bounced for _, bounced in counts) / sum(sum(pair) for pair in counts)
    return rates
