"""An operator's incident leaves something; follow-ups drain what has healed and list what is left for people."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.bounces import stopped
from dlq.notices import State
from dlq.notices.incident import read_incident
from flows.discard import discard
from flows.follow_up import follow_up
from flows.incident import incident
from tests.integration.test_flows import DLQ, LIVE, attempt, contents, state_type
from tests.journey import ends, heard, story
from tests.runbook.test_approval_journey import carry_out, state
from tests.runbook.test_approval_journey import run_id_of as ledger_id

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
RULES = """
[queues.webhooks.loop]
grace_seconds = 1.0
[policy]
"""


def dead(number: int, kind: str) -> bytes:
    """Make a dead letter of one of two failures."""
    error = {"timeout": "TimeoutError: gateway", "amount": "KeyError: 'amount'"}[kind]
    failed = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    return json.dumps({"id": f"{kind}-{number}", "type": "webhook", "error": error, "failedAt": failed}).encode()


class Workers:
    """A worker that does every message, except those of the failures that are not mended."""

    def __init__(self, url: str) -> None:
        """Begin; nothing is mended."""
        self.broken = {b"amount-"}
        self.done: Counter[bytes] = Counter()
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until it has."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        with redis.Redis.from_url(self._url) as mine:
            while not self._over.is_set():
                taken = mine.brpop([LIVE], timeout=0.2)
                if taken is None:
                    continue
                if any(name in taken[1] for name in self.broken):
                    mine.lpush(DLQ, taken[1])
                else:
                    self.done[taken[1]] += 1


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give a Redis with 60 healed and 60 unmended dead letters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    (tmp_path / "dlq.toml").write_text(RULES)
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        for number in range(60):
            client.lpush(DLQ, dead(number, "timeout"), dead(number, "amount"))
        yield client


@pytest.fixture
def workers(client: redis.Redis, embedded_server: EmbeddedRedis) -> Iterator[Workers]:
    """Let a worker work as long as the test lasts."""
    assert client.ping()
    at_work = Workers(embedded_server.url)
    yield at_work
    at_work.stop()


@pytest.fixture(autouse=True)
def deployed() -> None:
    """Register the deployment that follow-ups are scheduled with."""
    with get_client(sync_client=True) as server:
        server.create_deployment(server.create_flow(follow_up), name="follow-up")


def scheduled() -> list[dict[str, Any]]:
    """Give the parameters of the follow-ups that are to come."""
    with get_client(sync_client=True) as server:
        found = server.read_flow_runs()
    return [run.parameters for run in found if run.state and run.state.is_scheduled() and "number" in run.parameters]


def state_of(run_id: str) -> State:
    """Give the state of an incident as people see it."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        return read_incident(notebook, run_id, "webhooks").state


def after(run_id: str) -> list[str]:
    """Give what the timeline of an incident says of its follow-ups, without their moments."""
    return [text.partition(" at 20")[0] for kind, text in story(run_id) if kind == "follow-up"]


def told_since(run_id: str) -> list[str]:
    """Give what people were told behind the incident's own outcome, each once."""
    titles = list(dict.fromkeys(heard(run_id)))
    ended = {"webhooks: resolved in part", "webhooks: waiting for the workers"}
    return titles[1 + max(index for index, title in enumerate(titles) if title in ended) :]


def stops_one(run_id: str, **counts: int) -> None:
    """Check how the incident itself ended: one signature delivered, the other one stopped after its canary."""
    lines = ["diagnosis", "signature-stopped", *["follow-up"] * len(after(run_id))]
    ends(run_id, "partial", lines, "TimeoutError: gateway 60 0 0 delivered", "5 of 5 bounced", **counts)


def incident_run(**more: Any) -> str:
    """Run an incident to its end; give its ledger run."""
    done = attempt(incident, queue="webhooks", fixed="gateway is back", **more)
    assert state_type(done) == "COMPLETED", done.state
    return ledger_id(done)


def test_a_healed_signature_is_drained_by_the_follow_up(client: redis.Redis, workers: Workers) -> None:
    """The incident stops one signature after its canary; its follow-up drains it once it is mended."""
    run_id = incident_run()
    assert sum(workers.done.values()) == 60
    stops_one(run_id, delivered=60, bounced=5)
    with open_queue(load_settings(), "webhooks") as (broker, _):
        record = broker.run(run_id)
    assert record is not None
    (halted,) = stopped(record)
    assert halted.sent < 60
    assert client.llen(DLQ) == 60
    assert {"queue": "webhooks", "run_id": run_id, "number": 1} in scheduled()
    workers.broken.clear()
    done = attempt(follow_up, queue="webhooks", run_id=run_id, number=1)
    assert state_type(done) == "COMPLETED"
    assert client.llen(DLQ) == client.llen(LIVE) == 0
    assert sum(workers.done.values()) == 120
    assert max(workers.done.values()) == 1
    assert told_since(run_id) == ["webhooks: nothing is left"]
    assert after(run_id) == ["follow-up 1 comes", "follow-up 1: nothing is left"]
    stops_one(run_id, delivered=65)
    ends(ledger_id(done), "delivered", [], f"reason: follow-up 1 of {run_id}", delivered=60)
    assert {"queue": "webhooks", "run_id": run_id, "number": 2} not in scheduled()


def test_what_no_worker_has_taken_is_looked_at_again(client: redis.Redis) -> None:
    """An incident whose messages still wait is not resolved; the follow-up that finds them taken resolves it."""
    run_id = incident_run(pace="none")
    assert (client.llen(LIVE), state_of(run_id)) == (120, State.PENDING)
    assert {"queue": "webhooks", "run_id": run_id, "number": 1} in scheduled()
    attempt(follow_up, queue="webhooks", run_id=run_id, number=1)
    assert state_of(run_id) is State.PENDING
    client.delete(LIVE)
    attempt(follow_up, queue="webhooks", run_id=run_id, number=2)
    assert state_of(run_id) is State.RESOLVED
    assert told_since(run_id) == ["webhooks: follow-up 1: 120 wait for the workers", "webhooks: nothing is left"]
    waits = ["follow-up 1 comes", "follow-up 1: 120 wait for the workers", "follow-up 2 comes"]
    assert after(run_id) == [*waits, "follow-up 2: nothing is left"]
    ends(run_id, "delivered", ["diagnosis", *["follow-up"] * 4], delivered=120)


def test_what_does_not_heal_becomes_a_list_for_people(client: redis.Redis, workers: Workers) -> None:
    """A follow-up sends a canary only and schedules the next; the last one tells people what is left, and stops."""
    run_id = incident_run()
    before = client.llen(DLQ)
    attempt(follow_up, queue="webhooks", run_id=run_id, number=1)
    assert client.llen(DLQ) == before == 60
    assert {"queue": "webhooks", "run_id": run_id, "number": 2} in scheduled()
    attempt(follow_up, queue="webhooks", run_id=run_id, number=7)
    assert {"queue": "webhooks", "run_id": run_id, "number": 8} not in scheduled()
    left = "60 of webhook · KeyError: <text>"
    assert told_since(run_id) == [f"webhooks: follow-up 1: {left}", "webhooks: 60 messages are left for people"]
    first, second = ["follow-up 1 comes", f"follow-up 1: {left}"], ["follow-up 2 comes", f"follow-up 7: {left}"]
    assert after(run_id) == first + second
    stops_one(run_id, delivered=60, bounced=5)
    assert sum(workers.done.values()) == 60


def test_the_last_follow_up_is_refused(client: redis.Redis, workers: Workers) -> None:
    """Nothing moves and no other comes: people are told why, and what is left for them."""
    run_id = incident_run()
    workers.stop()
    client.lpush(LIVE, b"{}")  # the worker has gone, and something waits
    done = attempt(follow_up, queue="webhooks", run_id=run_id, number=7)
    assert state(done) == ("FAILED", "Refused")
    assert client.llen(DLQ) == 60
    assert told_since(run_id) == ["webhooks: 60 messages are left for people"]
    assert any("refused by the pre-flight" in title for title in heard(ledger_id(done)))
    why = "consumers: 1 in the live queue, and nobody took one in 5 s"
    assert after(run_id) == ["follow-up 1 comes", f"follow-up 7: Nothing was moved. {why}"]
    assert {"queue": "webhooks", "run_id": run_id, "number": 8} not in scheduled()


def test_the_budget_of_an_hour_holds(client: redis.Redis, workers: Workers, tmp_path: Path) -> None:
    """A follow-up moves no more than is left of it, and one that finds nothing left is put off to the next hour."""
    run_id = incident_run()
    workers.broken.clear()
    (tmp_path / "dlq.toml").write_text(f"{RULES}budget_per_hour = 20\n")
    attempt(follow_up, queue="webhooks", run_id=run_id, number=1)
    assert client.llen(DLQ) == 40
    assert told_since(run_id) == ["webhooks: follow-up 1: 40 of webhook · KeyError: <text>"]
    late = attempt(follow_up, queue="webhooks", run_id=run_id, number=2)
    assert state(late) == ("CANCELLED", "Postponed")
    assert client.llen(DLQ) == 40
    assert {"queue": "webhooks", "run_id": run_id, "number": 2} in scheduled()
    put_off, again = after(run_id)[-2:]
    assert put_off.startswith("follow-up 2: Nothing was moved: ")
    assert "20" in put_off
    assert again == "follow-up 2 comes"


def test_quiet_hours_put_a_follow_up_off(client: redis.Redis, workers: Workers, tmp_path: Path) -> None:
    """Nothing moves in them; the follow-up comes when they end."""
    run_id = incident_run()
    workers.broken.clear()
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=2)
    (tmp_path / "dlq.toml").write_text(f'{RULES}quiet_hours = "{begin:%H:%M}-{end:%H:%M}"\n')
    late = attempt(follow_up, queue="webhooks", run_id=run_id, number=1)
    assert state(late) == ("CANCELLED", "Postponed")
    assert client.llen(DLQ) == 60
    assert "quiet hours" in ((late.state and late.state.message) or "")
    assert told_since(run_id) == []
    begins, put_off, again = after(run_id)
    assert put_off.startswith("follow-up 1: Nothing was moved: quiet hours until")
    assert begins == again == "follow-up 1 comes"


def test_dead_consumers_refuse_an_incident(client: redis.Redis) -> None:
    """Nobody waits for messages: the flow run ends as refused with the reason, people hear it, and nothing moves."""
    truth = contents(client, DLQ)
    done = attempt(incident, queue="webhooks")
    assert state(done) == ("FAILED", "Refused")
    assert "no client of the broker waits" in ((done.state and done.state.message) or "")
    assert contents(client, DLQ) == truth
    run_id = ledger_id(done)
    assert list(dict.fromkeys(heard(run_id)))[-1] == "webhooks: refused by the pre-flight"
    (refused,) = [text for kind, text in story(run_id) if kind == "preflight"]
    assert refused.startswith("refused: consumers: no client of the broker waits")
    with open_queue(load_settings(), "webhooks") as (broker, _):
        assert broker.run(run_id) is None
    with get_client(sync_client=True) as server:
        mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[done.id]))
        (card,) = [one for one in server.read_artifacts(artifact_filter=mine) if one.key == "preflight-webhooks"]
    assert "no client of the broker waits" in str(card.data)


def test_a_discard_needs_a_person(client: redis.Redis, tmp_path: Path) -> None:
    """The flow waits; after the yes the messages lie in the archive, and only then they are gone."""
    with get_client(sync_client=True) as server:
        deployment = server.create_deployment(server.create_flow(discard), name="discard")
        parameters = {"queue": "webhooks", "error": "KeyError", "reason": "cannot be mended"}
        run = carry_out(discard, server.create_flow_run_from_deployment(deployment, parameters=parameters))
        assert state(run) == ("PAUSED", "Suspended")
        assert client.llen(DLQ) == 120
        server.resume_flow_run(run.id, run_input={"answer": "approve", "who": "ada", "why": "useless"})
        done = carry_out(discard, server.read_flow_run(run.id))
    assert state(done)[0] == "COMPLETED", done.state
    assert client.llen(DLQ) == 60
    assert len(list((tmp_path / "archives" / "webhooks").glob("*.jsonl.zst"))) == 1
