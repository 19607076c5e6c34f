"""How long a run waits for its channels: a few seconds in all, and not for one that is down."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dlq.errors import DlqError

if TYPE_CHECKING:
    from dlq.notices.notice import Notice
    from dlq.records.notebook import Notebook

MOST = 10.0
"""Seconds that a channel may cost a run; then it is left alone for the rest of the run."""
USUAL = 1.0
"""Seconds that an answer may take without counting against the channel."""
COOLING = timedelta(seconds=60)
"""How long a channel that failed is left alone."""
_LASTING = "for the rest of this run"


@dataclass(frozen=True, slots=True)
class Patience:
    """What a run remembers of its channels, in the notebook, so that every process of the run knows it.

    A notebook that cannot be read or written is as good as an empty one: then nothing is remembered.
    """

    notebook: Notebook
    run_id: str

    def down(self, channel: str) -> str | None:
        """Say why a channel is not to be tried now; None when it is."""
        page = self._page()
        why, until = page.get(f"{channel} why", ""), page.get(f"{channel} until", "")
        if until == _LASTING:
            return f"left alone {_LASTING}: {why}"
        if until and datetime.fromisoformat(until) > datetime.now(UTC):
            return f"left alone until {datetime.fromisoformat(until):%H:%M:%S} UTC: {why}"
        return None

    def told(self, channel: str, notice: Notice) -> bool:
        """Say whether this notice went through this channel already."""
        return f"{channel} told {notice.digest}" in self._page()

    def sent(self, channel: str, notice: Notice | None, seconds: float) -> None:
        """Remember a notice that went through, and that it was slow if it was."""
        if notice and notice.run_id:  # without a run, the same words on another day are another notice
            self._note({f"{channel} told {notice.digest}": datetime.now(UTC).isoformat()})
        if seconds > USUAL:
            self._spend(channel, seconds - USUAL, f"it answers slowly ({seconds:.1f} s)")

    def failed(self, channel: str, why: str, seconds: float, *, lasting: bool) -> None:
        """Remember a failure; a lasting one ends the channel for this run."""
        until = _LASTING if lasting and self.run_id else (datetime.now(UTC) + COOLING).isoformat()
        self._note({f"{channel} until": until, f"{channel} why": why})
        if not lasting:
            self._spend(channel, seconds, why)

    def _spend(self, channel: str, seconds: float, why: str) -> None:
        """Count the time that the channel has cost the run."""
        if not self.run_id:
            return
        with suppress(DlqError):
            spent = self.notebook.count(self._topic, f"{channel} spent", round(seconds * 1000)) / 1000
            if spent > MOST:
                self._note({f"{channel} until": _LASTING, f"{channel} why": f"{why}; it took {spent:.0f} s in all"})

    def _page(self) -> dict[str, str]:
        with suppress(DlqError):
            return self.notebook.notes(self._topic)
        return {}

    def _note(self, fields: dict[str, str]) -> None:
        with suppress(DlqError):
            self.notebook.note(self._topic, fields)

    @property
    def _topic(self) -> str:
        return f"run:{self.run_id}:channels" if self.run_id else "channels"
