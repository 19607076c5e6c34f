"""The picture of the nightly report: each queue's depth over the day, and the signatures that came most."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from dlq.reports.nightly_frames import signature_frame
from dlq.summaries.plots import DARK, LIGHT, SERIES, style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from dlq.reports.nightly import Night

MOST_QUEUES = 6
_SIGNATURES = 8
_LABEL = 120
_WIDTH, _ROW, _BAR = 10.0, 1.25, 0.46  # inches
_GROUND = {"light": "#ffffff", "dark": "#14181f"}
_ALARM = "#d9485f"
_MIDNIGHT = ["", "%b", "%d %b", "%d %b", "%H:%M", "%H:%M"]
_THOUSANDS = StrMethodFormatter("{x:,.0f}")


def picture(nights: Sequence[Night], zone: tzinfo, *, dark: bool = False) -> bytes:
    """Draw the report as a PNG: the queues with the deepest DLQs at the top, at most six of them."""
    shown = sorted(nights, key=lambda night: -night.peak)[:MOST_QUEUES]
    bars = _bars(nights)
    colors = DARK if dark else LIGHT
    heights = [_ROW * len(shown), 0.9 + _BAR * len(bars)] if len(bars) else [_ROW * len(shown)]
    with style(colors):
        figure = Figure(figsize=(_WIDTH, sum(heights) + 0.5), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
        # The two parts have axes of their own: else the long names below would narrow the curves above.
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        rows = parts[0].subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for night, axes in zip(shown, rows, strict=True):
            _depth(axes, night, zone, colors["ink"])
        if len(bars):
            _signatures(parts[1].subplots(), bars, colors)
        figure.suptitle(_title(nights, zone), x=0.01, ha="left", fontsize=12, fontweight="bold")
        target = io.BytesIO()
        ground = _GROUND["dark" if dark else "light"]
        figure.savefig(target, format="png", dpi=110, facecolor=ground, metadata={"Software": None})
    return target.getvalue()


def _title(nights: Sequence[Night], zone: tzinfo) -> str:
    day = max(night.at for night in nights).astimezone(zone)
    return f"Dead letters, {day:%A} {day.day} {day:%B %Y}"


def _depth(axes: Any, night: Night, zone: tzinfo, ink: str) -> None:
    """Draw the depth of one queue over the day, with its threshold where that is near."""
    points = [*night.course.points, (night.at, float(night.depth))]
    at, depth = [point[0] for point in points], [point[1] for point in points]
    over = bool(night.over)
    color = _ALARM if over else SERIES[0]
    axes.plot(at, depth, color=color, linewidth=1.6)
    axes.fill_between(at, depth, color=color, alpha=0.14, linewidth=0)
    if night.peak > 0.3 * night.config.thresholds.depth_warn:
        axes.axhline(night.config.thresholds.depth_warn, color=_ALARM, linewidth=0.9, linestyle=(0, (4, 3)))
    drained = f", {night.taken.redriven:,} drained" if night.taken.redriven else ""
    arrived = "arrivals unknown" if night.arrived is None else f"{night.arrived:,} arrived"
    axes.set_title(
        f"{night.queue}: {night.depth:,} now, {arrived}{drained}", loc="left", fontsize=9, color=_ALARM if over else ink
    )
    locator = AutoDateLocator(tz=zone, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, tz=zone, zero_formats=_MIDNIGHT, show_offset=False)  # type: ignore[no-untyped-call]
    )
    axes.set_xlim(night.at - pd.Timedelta(days=1), night.at)
    axes.set_ylim(0, max(1.15 * max(depth), 5))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(_THOUSANDS)
    _plain(axes, "y")


def _bars(nights: Sequence[Night]) -> pd.DataFrame:
    """Give the signatures of all queues that came most, the fewest first as bars are drawn from below."""
    several = len(nights) > 1
    parts = [
        frame.assign(label=[_short(text, f"{night.queue} · " if several else "") for text in frame["signature"]])
        for night in nights
        if not (frame := signature_frame(night, _SIGNATURES)).empty
    ]
    if not parts:
        return pd.DataFrame()
    both = pd.concat(parts, ignore_index=True)
    return both[both["arrived"].fillna(0) > 0].sort_values("arrived", kind="stable").tail(_SIGNATURES)


def _signatures(axes: Any, bars: pd.DataFrame, colors: dict[str, str]) -> None:
    """Draw a bar for each signature's arrivals, with marks for the day before and the week's median."""
    place = [row * 1.0 for row in range(len(bars))]
    axes.barh(place, bars["arrived"].astype(float), height=0.4, color=SERIES[0], label="arrived")
    marks = (("day before", "o", SERIES[1]), ("week's median", "|", colors["ink"]))
    for name, marker, color in marks:
        values = bars[name].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
        if not pd.isna(values).all():
            size = 90 if marker == "|" else 22
            axes.scatter(values, place, marker=marker, s=size, color=color, label=name, zorder=3, linewidths=1.8)
    for row, label, word in zip(place, bars["label"], bars["trend"], strict=True):
        axes.annotate(
            f"{label}   {word}" if word else label, (0, row + 0.3), (0, 2), textcoords="offset points", fontsize=8
        )
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(bars) - 0.1)
    axes.set_title("What came most", loc="left", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlim(left=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8, borderaxespad=0)
    axes.xaxis.set_major_formatter(_THOUSANDS)
    _plain(axes, "x")


def _plain(axes: Any, lines: str) -> None:
    """Leave of an axes what is needed: its ground is the picture's."""
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis=lines)
    axes.set_axisbelow(True)


def _short(text: str, before: str) -> str:
    """Cut a signature to a label; what is between two dollars must not be read as a formula."""
    whole = (before + text).replace("$", r"\$")
    return whole if len(whole) <= _LABEL else whole[: _LABEL - 1] + "…"
