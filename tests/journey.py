"""What an operator's journey ends with: verdict, counts, timeline, and what a person was told."""

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from dlq.brokers.opening import open_notebook
from dlq.cli import main
from dlq.config.settings import load_settings
from dlq.notices import deliveries
from dlq.records.timeline import timeline

PARTS = ("delivered", "bounced", "pending", "quarantined", "dropped", "rolled back")


def shown(run_id: str) -> str:
    """Read what `dlq show` tells a person of a run, with single blanks."""
    return " ".join(_show(run_id).split())


def account(run_id: str) -> dict[str, Any]:
    """Read the same for programs: the run's record, its verdict and its counts."""
    found: dict[str, Any] = json.loads(_show(run_id, "--json"))
    return found


def story(run_id: str) -> list[tuple[str, str]]:
    """Give kind and text of each line of a run's timeline, in order."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        return [(event.kind, event.text) for event in timeline(notebook, run_id)]


def kinds(run_id: str) -> list[str]:
    """Give the kinds of a run's timeline behind the pre-flight, in order."""
    return [kind for kind, _ in story(run_id) if kind != "preflight"]


def heard(run_id: str) -> list[str]:
    """Give the titles of what people were told about a run, in order."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        return [one.title for one in deliveries(notebook, run_id)]


def ends(run_id: str, verdict: str, timeline: list[str], *said: str, **counts: int) -> None:
    """Check the end of a run: verdict, timeline, each count (0 where none is named), their sum, what a person reads."""
    run = account(run_id)
    assert (run["verdict"], kinds(run_id)) == (verdict, timeline)
    found = {part: run[part.replace(" ", "_")] for part in PARTS}
    assert found == dict.fromkeys(PARTS, 0) | {part.replace("_", " "): count for part, count in counts.items()}
    total = " + ".join(f"{count} {part}" for part, count in found.items())
    text = shown(run_id)
    for words in (f"{sum(found.values())} selected = {total} (unexplained 0)", *said):
        assert words in text
    assert ("was stopped" in text) == bool(run["breaker"] or run["stopped"])


def _show(run_id: str, *more: str) -> str:
    out = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr("sys.argv", ["dlq", "show", run_id, *more])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return out.getvalue()
