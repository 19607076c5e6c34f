"""Steps of the root cause: ask the systems around a queue, rank the guesses, show them."""

from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.engine.assess import Assessment
from dlq.records.timeline import tell_once
from tasks.publishing import artifact_key
from tasks.retries import step

if TYPE_CHECKING:
    from dlq.diagnosis.facts import Facts


@step("gather", "ask around {queue}")
def gather_facts(queue: str, found: Assessment) -> "Facts":
    """Ask Kubernetes, the workers, Prometheus, logs and git; what does not answer is a note."""
    from dlq.diagnosis.gather import gather  # noqa: PLC0415 - kubernetes and its like take a second to import

    settings = load_settings()
    with open_queue(settings, queue) as (broker, config):
        facts = gather(settings, broker, config, found)
    for note in facts.notes:
        get_run_logger().info("%s", note)
    return facts


@step("diagnose")
def rank_causes(queue: str, run_id: str, facts: "Facts") -> dict[str, Any]:
    """Rank the guesses, publish them with the signature table, and put the first one into the timeline."""
    from dlq.diagnosis import kept, words  # noqa: PLC0415
    from dlq.diagnosis.hypotheses import diagnose  # noqa: PLC0415
    from dlq.diagnosis.table import signature_table  # noqa: PLC0415
    from dlq.summaries import frames  # noqa: PLC0415 - pandas takes a second to import

    found = diagnose(facts)
    create_table_artifact(
        table=frames.rows(signature_table(facts.assessment)),
        key=artifact_key("failures", queue),
        description="what failed, and since when",
    )
    create_markdown_artifact(
        markdown=words.markdown(found, facts), key=artifact_key("diagnosis", queue), description=found.summary[:200]
    )
    said = words.as_dict(found)
    with open_notebook(load_settings(), queue) as notebook:
        kept.keep(notebook, run_id, said)
        tell_once(notebook, run_id, "diagnosis", "diagnosis", found.summary)
    get_run_logger().info("%s", found.summary)
    return said
