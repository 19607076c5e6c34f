"""The signature table of the diagnosis, as a pandas frame: what failed, how often, since when, on which types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.diagnosis.families import family_of
from dlq.diagnosis.onset import merged, onset

if TYPE_CHECKING:
    import pandas as pd

    from dlq.engine.assess import Assessment

COLUMNS = [
    "failure",
    "family",
    "messages",
    "share",
    "onset",
    "first_seen",
    "last_seen",
    "attempts_max",
    "types",
    "keys",
    "samples",
]


def signature_table(assessment: Assessment) -> pd.DataFrame:
    """Give a row for each error text, over all types of message; `share` is in percent. Times are aware.

    Its size grows with the signatures, not with the messages.
    """
    import pandas as pd  # noqa: PLC0415 - a second to import

    frame = pd.DataFrame(
        [
            {
                "failure": ": ".join(filter(None, (seen.signature.error_class, seen.signature.text)))
                or "(no error text)",
                "family": str(family_of(seen.signature.error_class, seen.signature.text)),
                "messages": seen.count,
                "first_seen": seen.first_seen,
                "last_seen": seen.last_seen,
                "attempts_max": seen.attempts_max,
                "types": seen.signature.type or "(no type)",
                "keys": seen.signature.key,
                "samples": seen.samples,
                "minutes": seen.per_minute,
            }
            for seen in assessment.signatures
        ]
    )
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    grouped = frame.groupby(["failure", "family"], sort=False, as_index=False).agg(
        messages=("messages", "sum"),
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
        attempts_max=("attempts_max", "max"),
        types=("types", lambda names: ", ".join(sorted(set(names)))),
        keys=("keys", ", ".join),
        samples=("samples", lambda groups: ", ".join([name for group in groups for name in group][:3])),
        minutes=("minutes", lambda histograms: merged(list(histograms))),
    )
    grouped["share"] = (100 * grouped["messages"] / max(1, assessment.read)).round(1)
    first = min((minute for minutes in grouped["minutes"] for minute in minutes), default=None)
    grouped["onset"] = [
        began.at if (began := onset(minutes, first)) and began.sudden else None for minutes in grouped["minutes"]
    ]
    return grouped.sort_values("messages", ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)
