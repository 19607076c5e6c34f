"""An engineer launches runs from the Prefect UI: a real server, served deployments, a real browser.

Screenshots of each step lie in build/screenshots.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from dlq.embedded.redis import EmbeddedRedis
from tests.browser import PrefectUi, browser_page
from tests.prefect_site import PrefectSite

pytestmark = pytest.mark.timeout(600)
DLQ, LIVE = "tokpulse:dlq:webhooks", "tokpulse:webhooks"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Open one browser for all tests; it comes first, so that a machine without one starts no server."""
    with browser_page() as page:
        yield page


@pytest.fixture(scope="module")
def site(page: Page, tmp_path_factory: pytest.TempPathFactory, embedded_server: EmbeddedRedis) -> Iterator[PrefectSite]:
    """Run a server with all deployments served, which work on the session's Redis."""
    del page
    folder = tmp_path_factory.mktemp("site")
    (folder / "dlq.toml").write_text("[policy]\napprove_above = 300\n")
    with PrefectSite(folder, {"DLQ_REDIS_URL": embedded_server.url, "DLQ_HOME": str(folder)}) as site:
        yield site


@pytest.fixture
def client(site: PrefectSite, embedded_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """Give a Redis with three hundred dead letters, half of them e-mails."""
    del site
    began = datetime.now(UTC) - timedelta(hours=2)
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        for number in range(300):
            kind, error = (
                ("order", f"TimeoutError: payment-gateway timed out after {number} ms"),
                ("email", f"SMTPServerDisconnected: connection to mx{number} lost"),
            )[number % 2]
            failed = (began + timedelta(seconds=20 * number)).isoformat()
            message = {"id": f"m-{number}", "type": kind, "error": error, "retryCount": 5, "failedAt": failed}
            client.lpush(DLQ, json.dumps(message))
        yield client


def run_id_of(ui: PrefectUi) -> str:
    """Read the ledger's id of the run from the open artifact."""
    found = re.search(r"webhooks-\d{4}-\d\d-\d\d-\d{4}-[0-9a-f]{6}", ui.page.locator("main").inner_text())
    assert found
    return found[0]


def test_a_drain_from_the_form(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """Pick a queue and a type, edit on the way, launch; the run completes and shows its table and its report."""
    ui = PrefectUi(page, site.url, "drain")
    ui.open_form("drain")
    ui.choose("Queue", "webhooks")
    ui.fill("Reason", "the mail server is back")
    ui.choose("Pace", "none")
    ui.add("Only types", "email")
    ui.add("Edit: set", "retryCount=0")
    ui.shoot("form")
    ui.launch()
    expect(page.get_by_text(re.compile(r"^webhooks-\d{4}-\d\d-\d\d-\d{4}$")).first).to_be_visible()
    ui.open_tab("Artifacts")
    expect(page.get_by_text("outcome-webhooks").last).to_be_visible()
    # A card shows the first 25 letters of a description: what one wants to know stands in them.
    for fact in ("150 pending", "drain 150 of 300", "drain, done", "go"):
        expect(page.get_by_text(re.compile(f"^{fact}")).first).to_be_visible()
    ui.shoot("run")
    ui.open_artifact("outcome-webhooks")
    expect(page.get_by_role("cell", name=re.compile("email · SMTPServerDisconnected"))).to_be_visible()
    ui.shoot("table")
    ui.open_artifact("run-webhooks")
    expect(page.get_by_text("150 selected").first).to_be_visible()
    expect(page.get_by_text("the mail server is back").first).to_be_visible()
    ui.shoot("report")
    moved = [json.loads(message) for message in client.lrange(LIVE, 0, -1)]
    assert (len(moved), {message["retryCount"] for message in moved}) == (150, {0})
    assert client.llen(DLQ) == 150


def test_a_dry_run_and_what_the_form_refuses(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """Neither a missing queue nor a wrong number leaves the form; a dry run moves nothing and shows what would go."""
    ui = PrefectUi(page, site.url, "dry-run")
    ui.open_form("drain")
    ui.submit()
    expect(ui.block("Queue").get_by_text("'queue' is a required property")).to_be_visible()
    ui.choose("Queue", "webhooks")
    ui.fill("Pace: batch", "0")
    ui.submit()
    ui.shoot("refused")
    said = ui.field("Pace: batch").locator("input").evaluate("field => field.validationMessage")
    assert "greater than or equal to 1" in said
    assert client.llen(DLQ) == 300

    ui.open_form("drain")  # a new one: after a refusal the form of 3.8.8 only looks at its fields at the next press
    ui.choose("Queue", "webhooks")
    ui.field("Dry run").get_by_role("switch").click()
    ui.launch()
    ui.open_artifact("dry-run-webhooks")
    expect(page.get_by_text("300 of 300 messages would be selected").first).to_be_visible()
    ui.shoot("preview")
    assert (client.llen(DLQ), client.llen(LIVE)) == (300, 0)


def test_what_only_the_run_can_refuse_names_its_field(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """An age that is none fails the run before its first step, and the page says which field it was."""
    ui = PrefectUi(page, site.url, "refused")
    ui.open_form("drain")
    ui.choose("Queue", "webhooks")
    ui.fill("Only older than", "soon")
    ui.launch(end="FAILED")
    ui.open_tab("Details")
    expect(page.get_by_text(re.compile("older_than.*not an age", re.DOTALL)).first).to_be_visible()
    ui.shoot("run")
    assert client.llen(DLQ) == 300


def test_an_incident_and_its_rollback(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """The incident completes with table and report; the rollback by its run id brings back what nobody took."""
    before = client.lrange(DLQ, 0, -1)
    ui = PrefectUi(page, site.url, "incident")
    ui.open_form("incident")
    ui.choose("Queue", "webhooks")
    ui.fill("Reason", "gateway and mail server are back")
    ui.choose("Pace", "none")
    ui.shoot("form")
    ui.launch()
    ui.open_tab("Artifacts")
    expect(page.get_by_text("signatures-webhooks").last).to_be_visible()
    for fact in ("severity none, 300", "2 signatures", "300 wait for the workers"):
        expect(page.get_by_text(re.compile(f"^{fact}")).first).to_be_visible()
    ui.shoot("run")
    ui.open_artifact("outcome-webhooks")
    expect(page.get_by_role("cell", name=re.compile("order · TimeoutError"))).to_be_visible()
    ui.open_artifact("run-webhooks")
    expect(page.get_by_text("300 selected").first).to_be_visible()
    ui.shoot("page")
    run_id = run_id_of(ui)
    look_at_the_report(ui, site.folder / "reports" / f"{run_id}.html")
    assert client.llen(LIVE) == 300

    taken = client.rpop(LIVE)
    ui = PrefectUi(page, site.url, "rollback")
    ui.open_form("rollback")
    ui.choose("Queue", "webhooks")
    ui.fill("Run", run_id)
    ui.fill("Reason", "the gateway is down again")
    ui.shoot("form")
    ui.launch()
    ui.open_tab("Artifacts")
    expect(page.get_by_text("rollback-webhooks").last).to_be_visible()
    ui.shoot("run")
    ui.open_artifact("rollback-webhooks")
    expect(page.get_by_role("cell", name="299", exact=True)).to_be_visible()
    ui.shoot("table")
    assert sorted([*client.lrange(DLQ, 0, -1), taken]) == sorted(before)


def ask_for_too_many(ui: PrefectUi, client: redis.Redis) -> list[bytes]:
    """Start an incident of more messages than go without a person; it waits, and nothing has moved."""
    client.lpush(DLQ, *(b'{"id": "more-%d", "type": "order", "error": "TimeoutError: late"}' % n for n in range(20)))
    before: list[bytes] = client.lrange(DLQ, 0, -1)
    ui.open_form("incident")
    ui.choose("Queue", "webhooks")
    ui.fill("Reason", "gateway and mail server are back")
    ui.choose("Pace", "none")
    ui.launch("PAUSED", "Suspended")
    ui.shoot("waits")
    assert client.lrange(DLQ, 0, -1) == before
    return before


def test_a_plan_is_approved_in_the_form(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """What is empty or beyond the plan is refused and said, and nothing is lost; then the run does what was said."""
    ui = PrefectUi(page, site.url, "approve")
    ask_for_too_many(ui, client)
    form = ui.open_answer()
    for words in ("Drain 320 of 320 messages of webhooks?", "320 messages are more than 300", "gateway and mail"):
        expect(form.get_by_text(words).first).to_be_visible()
    ui.shoot("form")
    assert "required" in ui.answer()
    ui.choose("Answer", "approve")
    for title, text, refused in (
        ("Who", "ada", "'why' is a required property"),
        ("Why", " ", "'why'"),
        ("Why", "", "'why' is a required property"),
        ("Why", "one half first", ""),
        ("Who", " ", "'who'"),
        ("Who", "", "'who' is a required property"),
        ("Who", "ada", ""),
        ("Limit", "-3", "'limit'.*less than the minimum"),
    ):
        ui.fill(title, text)
        assert not refused or re.search(refused, ui.answer())
    ui.shoot("refused")
    waited = ui.await_state("PAUSED", "Suspended")
    ui.open_answer()
    ui.choose("Answer", "approve")
    for title, text in (("Who", "ada"), ("Why", "one half first"), ("Limit", "5000")):
        ui.fill(title, text)
    ui.answer()
    waited = ui.await_state("PAUSED", "Suspended", after=waited)
    form = ui.open_answer()
    expect(form.get_by_text(re.compile("only lower what the plan moves .limit 5000, plan 320")).first).to_be_visible()
    ui.shoot("asked-again")
    assert (client.llen(DLQ), client.llen(LIVE)) == (320, 0)
    ui.choose("Answer", "approve")
    for title, text in (("Who", "ada"), ("Why", "one half first"), ("Limit", "150")):
        ui.fill(title, text)
    ui.shoot("filled")
    ui.answer()
    ui.await_state(after=waited)
    ui.shoot("done")
    assert (client.llen(DLQ), client.llen(LIVE)) == (170, 150)
    ui.open_artifact("run-webhooks")
    said = "approved by ada, 150 messages at most: one half first"
    expect(page.get_by_text(said).first).to_be_visible()
    assert client.hget(f"dlq-drain:{{{DLQ}}}:run:{run_id_of(ui)}", "approval") == said.encode()


def test_a_plan_is_rejected_in_the_form(page: Page, site: PrefectSite, client: redis.Redis) -> None:
    """Nothing moves, and the page of the run says who said no, and why."""
    ui = PrefectUi(page, site.url, "reject")
    before = ask_for_too_many(ui, client)
    ui.open_answer()
    ui.choose("Answer", "reject")
    for title, text in (("Who", "bob"), ("Why", "not during the sale")):
        ui.fill(title, text)
    ui.answer()
    ui.await_state("CANCELLED", "Rejected")
    ui.open_tab("Details")
    expect(page.get_by_text(re.compile("rejected by bob: not during the sale")).first).to_be_visible()
    ui.shoot("done")
    assert (client.lrange(DLQ, 0, -1), client.llen(LIVE)) == (before, 0)


def look_at_the_report(ui: PrefectUi, file: Path) -> None:
    """Open the report file as a person does, in light and in dark."""
    ui.page.goto(file.as_uri())
    expect(ui.page.get_by_text("300 selected").first).to_be_visible()
    ui.shoot("report-file")
    ui.page.emulate_media(color_scheme="dark")
    ui.shoot("report-file-dark")
    ui.page.emulate_media(color_scheme="light")
