"""The plots of a report, drawn without a display, each for light and for dark pages."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from dlq.summaries.frames import CoursePoint

_SIZE = (9.0, 3.2)  # inches
_LONGEST_LABEL = 70
_SHORTEST = timedelta(seconds=10)
SERIES = ("#2f7de1", "#e0812d", "#2aa876", "#c94f7c", "#8a63d2", "#b8a11c", "#7d8794")
LIGHT = {"ink": "#4a5565", "line": "#d9dee5"}
DARK = {"ink": "#aab5c3", "line": "#323b47"}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as data addresses of SVG images."""

    light: str
    dark: str


def depth_plot(course: Sequence[CoursePoint], zone: tzinfo) -> Plot | None:
    """Plot the DLQ's depth and what the run moved; None when the run has no batch yet."""
    return _both(_depth(course), zone) if course else None


def failure_plot(failures: pd.DataFrame, zone: tzinfo) -> Plot | None:
    """Plot failures over time, one band a signature; None when the frame is empty."""
    return None if failures.empty else _both(_failures(failures), zone)


def depth_picture(course: Sequence[CoursePoint], zone: tzinfo) -> bytes | None:
    """Draw the depth plot as a PNG on white, for channels that show pictures."""
    return render(_depth(course), zone, LIGHT, "png") if course else None


def failure_picture(failures: pd.DataFrame, zone: tzinfo) -> bytes | None:
    """Draw the failure plot as a PNG on white."""
    return None if failures.empty else render(_failures(failures), zone, LIGHT, "png")


def _depth(course: Sequence[CoursePoint]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        at = [point.at for point in course]
        depth = [point.depth for point in course]
        axes.step(at, depth, where="post", color=SERIES[0], linewidth=1.8, label="messages in the DLQ")
        axes.fill_between(at, depth, step="post", color=SERIES[0], alpha=0.15, linewidth=0)
        moved = [point.moved for point in course]
        axes.step(at, moved, where="post", color=SERIES[2], linewidth=1.8, label="taken by this run")
        if at[-1] - at[0] < _SHORTEST:  # fractions of a second are nothing to read an axis by
            axes.set_xlim(at[0] - _SHORTEST / 10, at[0] + _SHORTEST)

    return draw


def _failures(failures: pd.DataFrame) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        width = failures.index[1] - failures.index[0] if len(failures) > 1 else pd.Timedelta(minutes=1)
        base = pd.Series(0, index=failures.index)
        for color, (name, counts) in zip(SERIES, failures.items(), strict=False):
            label = str(name).replace("$", r"\$")  # else matplotlib reads what is between two as a formula
            short = label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
            axes.bar(failures.index, counts, width, bottom=base, align="edge", color=color, label=short)
            base = base + counts

    return draw


def _both(draw: Callable[[Any], None], zone: tzinfo) -> Plot:
    return Plot(*(_svg(draw, zone, colors) for colors in (LIGHT, DARK)))


def _svg(draw: Callable[[Any], None], zone: tzinfo, colors: dict[str, str]) -> str:
    """Draw with one set of colors and give the image's data address."""
    image = render(draw, zone, colors, "svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}"


def render(draw: Callable[[Any], None], zone: tzinfo, colors: dict[str, str], form: str) -> bytes:
    """Draw one image; a Figure of its own needs neither pyplot nor a display."""
    with style(colors):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower left", frameon=False, fontsize=8)
        target = io.BytesIO()
        if form == "svg":  # without a date the same run gives the same file
            figure.savefig(target, format=form, transparent=True, metadata={"Date": None})
        else:  # by itself it needs a ground of its own
            figure.savefig(target, format=form, dpi=144)
    return target.getvalue()


@contextmanager
def style(colors: dict[str, str]) -> Iterator[None]:
    """Draw with these colors for text and lines; the ground is left transparent."""
    ink, line = colors["ink"], colors["line"]
    said: Any = {
        "axes.edgecolor": line,
        "axes.labelcolor": ink,
        "font.size": 9,
        "grid.color": line,
        "svg.hashsalt": "dlq-drain",
        "text.color": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "ytick.major.size": 0,
    }
    with mpl.rc_context(said):
        yield
