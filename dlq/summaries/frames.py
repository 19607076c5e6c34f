"""pandas frames of what the domain found, and their rows in plain JSON types."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from dlq.engine.assess import Assessment, SignatureCount
from dlq.engine.verify import Outcome
from dlq.records.ledger import LedgerBatch, RunRecord

_BINS = 120
_POINTS = 400
_SPANS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 720, 1_440, 10_080)  # minutes: what people read easily on an axis


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """The state of a run after a batch: DLQ depth and messages moved so far."""

    at: datetime
    depth: int
    moved: int
    wave: int


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a frame into rows of JSON types: Prefect's tables refuse numpy numbers and Timestamps."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", date_unit="s"))
    return found


def last(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Move a column of long texts to the end: the tables of Prefect's UI show half a dozen columns at once."""
    return frame[[*frame.columns.drop(column), column]]


def signature_frame(assessment: Assessment) -> pd.DataFrame:
    """Give a row for each signature, the most frequent first; `share` is in percent of what was read."""
    frame = pd.DataFrame(
        [
            {
                "signature": str(seen.signature),
                "key": seen.signature.key,
                "messages": seen.count,
                "first_seen": seen.first_seen,
                "last_seen": seen.last_seen,
                "attempts_max": seen.attempts_max,
                "samples": ", ".join(seen.samples),
            }
            for seen in assessment.signatures
        ],
        columns=["signature", "key", "messages", "first_seen", "last_seen", "attempts_max", "samples"],
    )
    frame.insert(3, "share", (100 * frame["messages"] / max(1, assessment.read)).astype(float).round(1))
    return frame.astype({"attempts_max": "Int64"})


def type_frame(assessment: Assessment) -> pd.DataFrame:
    """Give a row for each type of message, the most frequent first."""
    return _counts(assessment.types, "type")


def corruption_frame(assessment: Assessment) -> pd.DataFrame:
    """Give a row for each reason why messages cannot be read."""
    return _counts(assessment.corrupted, "reason")


def outcome_frame(outcome: Outcome, names: Mapping[int, str]) -> pd.DataFrame:
    """Give a row for each signature that was redriven; `names` are the signatures by code."""
    frame = pd.DataFrame(
        [
            {
                "signature": names.get(seen.code, f"signature {seen.code}"),
                "redriven": seen.delivered + seen.bounced + seen.pending,
                "delivered": seen.delivered,
                "bounced": seen.bounced,
                "pending": seen.pending,
                "verdict": seen.verdict,
            }
            for seen in outcome.signatures
        ],
        columns=["signature", "redriven", "delivered", "bounced", "pending", "verdict"],
    )
    return frame.sort_values("redriven", ascending=False, kind="stable", ignore_index=True)


def conservation_frame(outcome: Outcome) -> pd.DataFrame:
    """Give one row: what became of the messages that the run selected."""
    names = ("selected", "delivered", "bounced", "pending", "quarantined", "dropped", "rolled_back", "unexplained")
    return pd.DataFrame([{name: getattr(outcome, name) for name in names}])


def failure_frame(assessment: Assessment, most: int = 6) -> pd.DataFrame:
    """Count failures over time: a row for each span, a column for each of the `most` frequent signatures, and others.

    Spans have no gaps, so that a quiet time shows as zeros. Empty when no message says when it failed.
    """
    dated = [seen for seen in assessment.signatures if seen.per_minute]
    columns = {str(seen.signature): _series(seen) for seen in dated[:most]}
    rest = [_series(seen) for seen in dated[most:]]
    if rest:
        columns[f"{len(rest)} other signatures"] = pd.concat(rest).groupby(level=0).sum()
    if not columns:
        return pd.DataFrame()
    frame = pd.DataFrame(columns).fillna(0).sort_index()
    minutes = (frame.index[-1] - frame.index[0]).total_seconds() / 60
    span = next((span for span in _SPANS if minutes / span <= _BINS), _SPANS[-1])
    return frame.resample(f"{span}min").sum().astype("int64")


def course(record: RunRecord, batches: Iterable[LedgerBatch]) -> tuple[CoursePoint, ...]:
    """Work out from the ledger how the depth went, at most some hundred points, the first and the last among them.

    The ledger has what arrived before each batch, so this also holds for a run that several processes did.
    """
    steps = [(batch.at, batch.arrived, len(batch), batch.wave) for batch in batches]
    depth = record.depth - sum(arrived - moved for _, arrived, moved, _ in steps)
    moved = 0
    points = [CoursePoint(record.started_at, depth, 0, 0)] if record.started_at else []
    for at, arrived, taken, wave in steps:
        depth += arrived - taken
        moved += taken
        points.append(CoursePoint(at, depth, moved, wave))
    every = max(1, len(points) // _POINTS)
    return tuple(point for i, point in enumerate(points) if i % every == 0 or i == len(points) - 1)


def waves(batches: Iterable[LedgerBatch]) -> pd.DataFrame:
    """Give a row for each wave: when it began and ended, and how many messages it scanned and selected."""
    frame = pd.DataFrame(
        [(batch.wave, batch.at, batch.at, batch.scanned, len(batch)) for batch in batches],
        columns=["wave", "began", "ended", "scanned", "selected"],
    )
    how = {"began": "min", "ended": "max", "scanned": "sum", "selected": "sum"}
    return frame.groupby("wave", as_index=False).agg(how)


def _counts(counts: Mapping[str, int], name: str) -> pd.DataFrame:
    return pd.DataFrame(list(counts.items()), columns=[name, "messages"])


def _series(seen: SignatureCount) -> "pd.Series[int]":
    moments = [datetime.fromtimestamp(minute * 60, UTC) for minute in seen.per_minute]
    return pd.Series(list(seen.per_minute.values()), index=pd.DatetimeIndex(moments, tz=UTC))
