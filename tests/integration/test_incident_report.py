"""The incident report of a run on a real Redis: what it says, what it escapes, and how large it may become."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dlq.brokers.base import DeadLetterQueue
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import Settings
from dlq.diagnosis.kept import keep
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.assess import assess
from dlq.engine.run import Kind, Request, start
from dlq.incident_report import IncidentReport, markdown, page, write
from dlq.notices import Notice, send
from dlq.records.notebook import Notebook
from dlq.records.timeline import tell
from dlq.summaries import customers
from dlq.summaries.story import Story
from tests.messages import dead_letters

RUN, DLQ, LIVE = "webhooks-2026-11-25-0900-abcdef", "tokpulse:dlq:webhooks", "tokpulse:webhooks"
EVIL = "<script>alert(1)</script> | [x](javascript:1) $x$ {{ 7 * 7 }}"


@pytest.fixture
def settings(embedded_server: EmbeddedRedis) -> Settings:
    """Give settings of an empty Redis, with a field for customers."""
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
    queues = {"webhooks": {"fields": {"customer": "customer"}}}
    return Settings.model_validate({"redis_url": embedded_server.url, "queues": queues})


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    """Give a client of that Redis."""
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        yield client


def drained(settings: Settings, reason: str = "") -> IncidentReport:
    """Assess, drain, and gather the report."""
    with open_queue(settings, "webhooks") as (queue, config), open_notebook(settings, "webhooks") as notebook:
        before = assess(queue, config)
        tell_things(settings, queue, notebook)
        run = start(queue, config, Request(Kind.DRAIN, "ada", reason), RUN)
        run.wave(1)
        run.finish()
        return IncidentReport.of(notebook, config, Story.of(queue, config, RUN), before, settings.zone)


def tell_things(settings: Settings, queue: DeadLetterQueue, notebook: Notebook) -> None:
    """Put into the notebook what others tell of an incident."""
    tell(notebook, RUN, "alert", f"fires {EVIL}", who="alertmanager")
    found = customers.affected(queue, settings.queue("webhooks"))
    assert found is not None
    customers.remember(notebook, RUN, found)
    wrong = settings.model_copy(update={"slack_token": settings.redis_url, "slack_channel": "C0"})
    nowhere = wrong.model_copy(update={"slack_url": "http://127.0.0.1:1/api/"})
    send(nowhere, notebook, Notice("escalation", "webhooks", "Level 2 is called", run_id=RUN))


def test_the_report_tells_the_whole_incident(settings: Settings, client: redis.Redis) -> None:
    """Outcome, timeline, customers, what was not told and the drafts are in both forms."""
    client.lpush(DLQ, *dead_letters(30, customer="c-1"), *dead_letters(10, customer="c-2"), b"{not json")
    report = drained(settings, "gateway is mended")
    for text in (page(report), markdown(report)):
        assert report.story.outcome.conservation in text
        for said in ("Root cause", "not diagnosed", "gateway is mended", "Level 2 is called", "does not answer"):
            assert said.casefold() in text.casefold()
        assert "2 customers; 1 messages do not say whose they are" in text
        assert "Delayed processing of webhooks" in text
        assert "1 messages lie in the DLQ" in text
    assert "| c-1 | 30 |" in markdown(report)


def test_the_diagnosis_is_the_root_cause(settings: Settings, client: redis.Redis) -> None:
    """What the diagnosis kept stands in the report, the likeliest cause first, with its evidence."""
    client.lpush(DLQ, *dead_letters(30))
    guess = {
        "cause": "dependency",
        "text": "the gateway timed out",
        "confidence": "likely",
        "evidence": ["87 % are TimeoutError"],
    }
    said = {
        "cause": "dependency",
        "summary": "the gateway",
        "hypotheses": [guess],
        "notes": ["Kubernetes: not configured"],
    }
    with open_notebook(settings, "webhooks") as notebook:
        keep(notebook, RUN, said)
    report = drained(settings)
    for text in (page(report), markdown(report)):
        assert text.index("dependency (likely): the gateway timed out") < text.index("87 % are TimeoutError")
        assert "Kubernetes: not configured" in text


def test_what_a_message_brings_stays_text(settings: Settings, client: redis.Redis) -> None:
    """Tags, table marks and template marks from errors, customers, reasons and alerts are shown, not obeyed."""
    client.lpush(DLQ, *dead_letters(3, error=EVIL, type=EVIL, customer=EVIL))
    report = drained(settings, EVIL)
    html, text = page(report), markdown(report)
    assert "<script" not in html
    assert "{{ 7 * 7 }}" in html
    assert "<script" not in text
    assert "](javascript" not in text.replace("\\]", "")


def test_the_page_needs_nothing_else(settings: Settings, client: redis.Redis, tmp_path: Path) -> None:
    """One file: plots for light and dark inside, no script, no address that is loaded; written again it is one file."""
    client.lpush(DLQ, *dead_letters(30))
    report = drained(settings)
    path = write(report, tmp_path)
    assert write(report, tmp_path) == path
    html = path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]
    assert html.count("data:image/svg+xml") == 4
    assert re.findall(r'(?:src|href|srcset)="(?!data:)[^"]*"|<script|<link|@import|url\(', html) == []


def test_a_report_of_many_signatures_stays_small(settings: Settings, client: redis.Redis) -> None:
    """Four hundred signatures and five thousand customers: the first ones, and what the others come to."""
    messages = [
        json.dumps({"id": n, "type": f"t{n % 400}", "error": "E: " + "long " * 100, "customer": f"c-{n}"}).encode()
        for n in range(5_000)
    ]
    client.lpush(DLQ, *messages)
    report = drained(settings)
    html, text = page(report), markdown(report)
    assert "and 350 more" in html
    assert "5,000 customers" in text
    assert "and 4,800 more customers" in text
    assert len(text) < 200_000
    assert len(html) < 400_000


def test_customers_are_bounded(settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the customers that are told apart, messages are counted together; numbers count, other types do not."""
    monkeypatch.setattr(customers, "MOST_COUNTED", 3)
    monkeypatch.setattr(customers, "MOST_KEPT", 2)
    ids = [1, 1, "b", "c", "d", "e", None, True, {"a": 1}, ""]
    client.lpush(DLQ, *[json.dumps({"customer": one}).encode() for one in ids], b"[", b"{}")
    with open_queue(settings, "webhooks") as (queue, config), open_notebook(settings, "webhooks") as notebook:
        found = customers.affected(queue, config)
        assert found == customers.Affected({"1": 2, "b": 1}, customers=3, others=2, unknown=6)
        customers.remember(notebook, RUN, found)
        later = customers.Affected({}, 0, 0, 0)
        assert customers.remember(notebook, RUN, later) == customers.remembered(notebook, RUN) == found


def test_without_a_field_nobody_is_looked_for(settings: Settings) -> None:
    """No customer field in the settings: not configured, rather than none."""
    with open_queue(settings, "jobs" if "jobs" in settings.queues else "webhooks") as (queue, config):
        bare = config.model_copy(update={"fields": type(config.fields)()})
        assert customers.affected(queue, bare) is None
