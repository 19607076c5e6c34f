"""Steps of the nightly and the weekly report: look at a queue, publish what was seen, tell people once.

pandas and matplotlib take a second or two to import, so the modules that need them are imported inside the steps.
"""

from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.notices import Notice
from dlq.systems.metrics import Metrics
from tasks.retries import step
from tasks.telling import tell_people

if TYPE_CHECKING:
    from dlq.reports.nightly import Night
    from dlq.reports.weekly import Week

_TOLD = "reports told"
# The UI's table shows five columns or so without scrolling: the long text goes last.
_SIGNATURE_COLUMNS = ["arrived", "day before", "week's median", "trend", "in the DLQ", "key", "signature"]


@step("look-at-the-day", "the day of {queue}")
def look_at_the_day(queue: str) -> "Night":
    """Look at a queue and at its last day, and keep the day for later comparisons."""
    from dlq.reports.nightly import look  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    metrics = Metrics.of(settings)
    try:
        with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
            night = look(broker, config, notebook, metrics, settings.zone)
    finally:
        metrics.close()
    get_run_logger().info("%s: %d in the DLQ, %s", queue, night.depth, "; ".join(night.over) or "no threshold")
    return night


@step("publish-depth-report", "publish the depth report")
def publish_depth_report(nights: "list[Night]") -> tuple[list[dict[str, Any]], Notice]:
    """Publish tables, page and picture of the nightly report; give the counts and what people are told."""
    from dlq.reports import nightly_frames, nightly_picture, nightly_words  # noqa: PLC0415
    from dlq.summaries.frames import rows  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    picture, dark = (nightly_picture.picture(nights, settings.zone, dark=dark) for dark in (False, True))
    title = nightly_words.title(nights, settings.zone)
    create_table_artifact(table=rows(nightly_frames.queue_frame(nights)), key="depth-report", description=title)
    create_table_artifact(
        table=[
            {"queue": night.queue, **row}
            for night in nights
            for row in rows(nightly_frames.signature_frame(night)[_SIGNATURE_COLUMNS])
        ],
        key="depth-report-signatures",
        description="What came, by signature, against the day before and the median of the week",
    )
    create_markdown_artifact(
        markdown=nightly_words.markdown(nights, settings.zone, picture), key="depth-report-page", description=title
    )
    day = max(night.at for night in nights).astimezone(settings.zone)
    _keep(f"depth-{day:%Y-%m-%d}", picture, dark)
    worst = nightly_words.worst(nights)
    notice = Notice(
        "depth-report",
        worst.queue if len(nights) == 1 else "all queues",
        title,
        nightly_words.text(nights),
        severity=worst.severity,
        level=worst.level.number if worst.level else None,
        plot=picture,
    )
    return nightly_words.summary(nights), notice


@step("tell-report", "tell people")
def tell_report(queue: str, run: str, notice: Notice) -> None:
    """Tell the report of a flow run, and not again when the run is retried; `queue` is whose notebook remembers it."""
    with open_notebook(load_settings(), queue) as notebook:
        if notebook.pick(_TOLD, [notice.kind]) == {notice.kind: run}:
            get_run_logger().info("this report was told before")
            return
        tell_people(queue, notice)
        notebook.note(_TOLD, {notice.kind: run})  # of each report only the newest can be retried


@step("look-at-the-week", "the week of {queue}")
def look_at_the_week(queue: str) -> "Week":
    """Look back at the last seven days of a queue. Nothing is read from the DLQ itself."""
    from dlq.reports.weekly import review  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    metrics = Metrics.of(settings)
    try:
        with open_queue(settings, queue) as (broker, config), open_notebook(settings, queue) as notebook:
            week = review(broker, config, notebook, metrics, settings.zone)
    finally:
        metrics.close()
    get_run_logger().info("%s: %d runs, %d days reported", queue, len(week.incidents), len(week.days))
    return week


@step("publish-weekly-review", "publish the weekly review")
def publish_weekly_review(weeks: "list[Week]") -> tuple[list[dict[str, Any]], Notice]:
    """Publish tables, page and picture of the weekly review; give the counts and what people are told."""
    from dlq.reports import weekly_frames, weekly_picture, weekly_words  # noqa: PLC0415
    from dlq.summaries.frames import last, rows  # noqa: PLC0415 - see the module's docstring

    settings = load_settings()
    picture, dark = (weekly_picture.picture(weeks, settings.zone, dark=dark) for dark in (False, True))
    title = weekly_words.title(weeks, settings.zone)
    create_table_artifact(
        table=rows(weekly_frames.threshold_frame(weeks)), key="weekly-review-thresholds", description=title
    )
    create_table_artifact(
        table=[
            {"queue": week.queue, **row}
            for week in weeks
            for row in rows(last(weekly_frames.pattern_frame(week), "signature"))
        ],
        key="weekly-review-signatures",
        description="What came in the week, by signature, against the week before",
    )
    create_table_artifact(
        table=[
            {"queue": week.queue, **row}
            for week in weeks
            for row in rows(weekly_frames.incident_frame(week, settings.zone))
        ],
        key="weekly-review-runs",
        description="The runs of the week: how long they took and how they ended",
    )
    create_markdown_artifact(
        markdown=weekly_words.markdown(weeks, settings.zone, picture), key="weekly-review-page", description=title
    )
    _keep(f"week-{max(week.until for week in weeks).astimezone(settings.zone):%Y-%m-%d}", picture, dark)
    queue = weeks[0].queue if len(weeks) == 1 else "all queues"
    return weekly_words.summary(weeks), Notice("weekly-review", queue, title, weekly_words.text(weeks), plot=picture)


def _keep(name: str, picture: bytes, dark: bytes) -> None:
    """Write a picture into the folder of reports, for light pages and for dark ones."""
    folder = load_settings().reports_folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(picture)
    (folder / f"{name}-dark.png").write_bytes(dark)
