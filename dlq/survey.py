"""The bulk way to count a DLQ: by signature, moment and attempts, without an envelope for each message."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import orjson

from dlq.envelope import KEYS_OF_A_SHAPE, SHAPES

if TYPE_CHECKING:
    from dlq.envelope import Envelope
    from dlq.reading import Reading

_CACHED = 20_000
_PLAIN = {int: int}
_loads = orjson.loads


Sight = tuple[int, float | None, int | None]
"""What is counted of a message: signature code, epoch seconds of its failure, attempts."""


class _Lane(NamedTuple):
    """The keys to look at in messages of one shape."""

    type_key: str
    error_key: str
    moment_key: str
    attempts_key: str


@dataclass(slots=True)
class Survey:
    """Counts chunks of messages; equal in every result to the envelopes of the messages.

    Messages of the usual shape whose texts were met before cost one look into a table; all else goes through the
    reader, which fills the tables. They are bounded: what does not fit is read the long way each time.
    """

    reading: Reading
    _lanes: dict[tuple[str, ...], _Lane] = field(init=False, default_factory=dict)
    _codes: dict[tuple[str, str], int] = field(init=False, default_factory=dict)
    _moments: dict[str, float] = field(init=False, default_factory=dict)

    def count(self, messages: list[bytes]) -> tuple[Counter[Sight], list[tuple[int, Envelope]]]:
        """Count a chunk; return the counts, and (code, envelope) of those that were read the long way."""
        lanes, codes, moments = self._lanes, self._codes, self._moments
        rows: list[Sight] = []
        read: list[tuple[int, Envelope]] = []
        for raw in messages:
            try:
                body = _loads(raw)
                type_key, error_key, moment_key, attempts_key = lanes[tuple(body)]
                tries = body[attempts_key]
                _PLAIN[tries.__class__]  # True is 1 to every other test, and a text needs reading
                row = codes[body[type_key], body[error_key]], moments[body[moment_key]], tries
            except (orjson.JSONDecodeError, KeyError, TypeError):
                envelope = self.reading.reader.read(raw)
                code = self.reading.book.code(envelope)
                rows.append((code, envelope.failed_at, envelope.attempts))
                read.append((code, envelope))
                self._learn(code, envelope)
            else:
                rows.append(row)
        return Counter(rows), read

    def _learn(self, code: int, envelope: Envelope) -> None:
        """Remember what decided about this message, where plain texts did."""
        body = envelope.body
        if envelope.corruption is not None or body is None or self.reading.reader.checks_schema:
            return
        plan = self.reading.reader.plan(body)
        keys = (plan.type_key, plan.error_key, plan.moment_key, plan.attempts_key)
        if plan.classes or len(body) > KEYS_OF_A_SHAPE or None in keys or envelope.failed_at is None:
            return
        lane = _Lane(*keys)  # type: ignore[arg-type] # none of them is None here
        kind, error, moment = body[lane.type_key], body[lane.error_key], body[lane.moment_key]
        if not (isinstance(kind, str) and isinstance(error, str) and isinstance(moment, str) and kind and error):
            return
        for table, most in ((self._lanes, SHAPES), (self._codes, _CACHED), (self._moments, _CACHED)):
            if len(table) >= most:
                table.clear()
        self._lanes[tuple(body)] = lane
        self._codes[kind, error] = code
        self._moments[moment] = envelope.failed_at
