"""The picture of the weekly review: what came each day, by signature, a row for each queue."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from dlq.summaries.plots import DARK, LIGHT, SERIES, style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from dlq.reports.weekly import Week

MOST_QUEUES = 6
_SIGNATURES = 5
_LABEL = 58
_WIDTH, _ROW = 10.0, 1.9  # inches
_GROUND = {"light": "#ffffff", "dark": "#14181f"}


def picture(weeks: Sequence[Week], zone: tzinfo, *, dark: bool = False) -> bytes:
    """Draw the week as a PNG: the queues with the most arrivals at the top, at most six of them."""
    shown = sorted(weeks, key=lambda week: -(week.arrived or 0))[:MOST_QUEUES]
    colors = DARK if dark else LIGHT
    with style(colors):
        figure = Figure(
            figsize=(_WIDTH, _ROW * len(shown) + 0.6), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
        )
        rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for week, axes in zip(shown, rows, strict=True):
            _days(axes, week)
        until = max(week.until for week in weeks).astimezone(zone)
        figure.suptitle(
            f"Dead letters of the week to {until:%A} {until.day} {until:%B %Y}",
            x=0.01,
            ha="left",
            fontsize=12,
            fontweight="bold",
        )
        target = io.BytesIO()
        ground = _GROUND["dark" if dark else "light"]
        figure.savefig(target, format="png", dpi=110, facecolor=ground, metadata={"Software": None})
    return target.getvalue()


def _days(axes: Any, week: Week) -> None:
    """Draw a bar for each reported day, a part for each of the week's most frequent signatures."""
    totals: dict[str, int] = {}
    for day in week.days:
        for seen in day.signatures:
            totals[seen.key] = totals.get(seen.key, 0) + (seen.arrived or 0)
    most = [key for key, total in sorted(totals.items(), key=lambda item: -item[1]) if total][:_SIGNATURES]
    names = {seen.key: seen.text for day in week.days for seen in day.signatures}
    places = list(range(len(week.days)))
    base = [0] * len(places)
    for key, color in zip([*most, ""], [*SERIES[: len(most)], SERIES[-1]], strict=True):
        heights = [
            sum(seen.arrived or 0 for seen in day.signatures if (seen.key == key if key else seen.key not in most))
            for day in week.days
        ]
        if any(heights):
            axes.bar(places, heights, 0.62, bottom=base, color=color, label=_short(names[key]) if key else "others")
            base = [below + height for below, height in zip(base, heights, strict=True)]
    arrived = "no arrivals reported" if week.arrived is None else f"{week.arrived:,} arrived"
    before = "" if week.arrived_before is None else f", {week.arrived_before:,} the week before"
    axes.set_title(f"{week.queue}: {arrived}{before}", loc="left", fontsize=9)
    axes.set_xticks(places, [f"{day.date:%a} {day.date.day}" for day in week.days])
    axes.set_xlim(-0.5, 6.5)
    axes.set_ylim(0, max(1.1 * max(base, default=0), 5))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if any(base):
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=7.5, borderaxespad=0)


def _short(text: str) -> str:
    """Cut a signature to a label; what is between two dollars must not be read as a formula."""
    whole = text.replace("$", r"\$")
    return whole if len(whole) <= _LABEL else whole[: _LABEL - 1] + "…"
