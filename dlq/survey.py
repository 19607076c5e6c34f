"""The bulk way to count a DLQ: by signature, moment and attempts, without an envelope for each message."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import orjson

from dlq.blanking import ZEROES
from dlq.detection import as_moment
from dlq.envelope import KEYS_OF_A_SHAPE, SHAPES
from dlq.fastlane import Key, Lane, key_of, lane_of

if TYPE_CHECKING:
    from dlq.envelope import Envelope
    from dlq.reading import Reading

_CACHED = 20_000
_PLAIN = {int: int}
_loads = orjson.loads


Sight = tuple[int, float | None, int | None]
"""What is counted of a message: signature code, epoch seconds of its failure, attempts."""


class _Shape(NamedTuple):
    """Where to look in messages of one shape."""

    lane: Lane
    moment_key: str
    attempts_key: str


@dataclass(slots=True)
class Survey:
    """Counts chunks of messages; equal in every result to the envelopes of the messages.

    Messages of the usual shape whose texts were met before cost one look into a table; all else goes through the
    reader, which fills the tables. They are bounded: what does not fit is read the long way each time.
    """

    reading: Reading
    _shapes: dict[tuple[str, ...], _Shape] = field(init=False, default_factory=dict)
    _codes: dict[Key, int] = field(init=False, default_factory=dict)
    _moments: dict[str, float] = field(init=False, default_factory=dict)

    def count(self, messages: list[bytes]) -> tuple[Counter[Sight], list[tuple[int, Envelope]]]:
        """Count a chunk; return the counts, and (code, envelope) of those that were read the long way."""
        shapes, codes, moments = self._shapes, self._codes, self._moments
        rows: list[Sight] = []
        read: list[tuple[int, Envelope]] = []
        for raw in messages:
            try:
                body = _loads(raw)
                (type_key, error_key, class_key, _), moment_key, attempts_key = shapes[tuple(body)]
                error = body[error_key] if error_key is not None else ""
                if class_key is None:
                    name = error.partition(":")[0]
                    if " " in name:
                        name = ""
                else:
                    name = body[class_key]
                reduced = error.encode().translate(ZEROES)
                code = codes[body[type_key], name, reduced, class_key is not None, error_key is None]
                moment = body[moment_key]
                when = moments.get(moment)
                if when is None:
                    when = self._moment(moment)
                tries = body[attempts_key]
                _PLAIN[tries.__class__]  # True is 1 to every other test, and a text needs reading
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                envelope = self.reading.reader.read(raw)
                code = self.reading.book.code(envelope)
                rows.append((code, envelope.failed_at, envelope.attempts))
                read.append((code, envelope))
                self._learn(code, envelope)
            else:
                rows.append((code, when, tries))
        return Counter(rows), read

    def _moment(self, text: str) -> float:
        """Read a time of failure that is not in the table; KeyError for one that is no text of a moment."""
        when = as_moment(text) if text.__class__ is str else None
        if when is None:
            raise KeyError(text)
        if len(self._moments) < _CACHED:
            self._moments[text] = when
        return when

    def _learn(self, code: int, envelope: Envelope) -> None:
        """Remember what decided about this message, where plain texts did."""
        body = envelope.body
        if envelope.corruption is not None or body is None or self.reading.reader.checks_schema:
            return
        plan = self.reading.reader.plan(body)
        lane = lane_of(plan)
        if lane is None or plan.moment_key is None or plan.attempts_key is None or len(body) > KEYS_OF_A_SHAPE:
            return
        if len(self._shapes) < SHAPES:
            self._shapes[tuple(body)] = _Shape(lane, plan.moment_key, plan.attempts_key)
        key = key_of(body, lane)
        if key is not None:
            if len(self._codes) >= _CACHED:
                self._codes.clear()
            self._codes[key] = code
