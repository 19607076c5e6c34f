"""The receiver on a real Prefect server and a real Redis: which alerts become runs, and that none is lost or doubled.

Nobody serves the deployment here, so a run stays where the test puts it.
"""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from prefect.client.orchestration import PrefectClient, SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed, Failed, Pending, Running, State
from pydantic import SecretStr

from deployments.receiver import incidents
from deployments.receiver.starting import Prefect
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import Kind, Request, start
from dlq.records import stop
from dlq.records.timeline import Event, timeline
from flows.incident import incident
from tests.receivers import BEARER, SINCE, TOKEN, Served, alert, payload, receiving

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
DLQ = "tokpulse:dlq:webhooks"


@pytest.fixture(scope="module")
def deployment(prefect_server: None) -> None:  # noqa: ARG001 - it must run
    """Register the deployment; nobody serves it."""
    incident.to_deployment(name="incident").apply()


@pytest.fixture
def prefect(deployment: None) -> Iterator[SyncPrefectClient]:  # noqa: ARG001 - it must be there
    """Give a client of the Prefect server, which has no run that an alert made."""
    with get_client(sync_client=True) as client:
        for run in runs(client):
            client.delete_flow_run(run.id)
        yield client


@pytest.fixture
def broker(embedded_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """Give an empty Redis."""
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def settings(embedded_server: EmbeddedRedis, broker: redis.Redis) -> Settings:  # noqa: ARG001 - it empties the server
    """Give the settings of a receiver that wants a token."""
    return Settings(redis_url=SecretStr(embedded_server.url), receiver_token=SecretStr(TOKEN))


@pytest.fixture
def receiver(settings: Settings, prefect: SyncPrefectClient) -> Iterator[Served]:  # noqa: ARG001 - it removes old runs
    """Serve a receiver."""
    with quick_to_give_up(), receiving(settings) as served:
        yield served


def quick_to_give_up() -> Any:
    """Set what `python -m deployments.receiver` sets: the receiver's answer does not wait for Prefect's own retries."""
    return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})


def runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Read the runs that alerts made."""
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["alert"])))


def queues_of(client: SyncPrefectClient) -> Counter[str]:
    """Count the runs by queue."""
    return Counter(run.parameters["queue"] for run in runs(client))


def put(client: SyncPrefectClient, run: FlowRun, *states: State[Any]) -> None:
    """Put a run through states, as a runner does."""
    for state in states:
        client.set_flow_run_state(run.id, state, force=True)


def told(settings: Settings, run_id: str) -> list[Event]:
    """Read a timeline of a run on webhooks."""
    with open_notebook(settings, "webhooks") as notebook:
        return timeline(notebook, run_id)


def forget_looks() -> None:
    """Let the receiver's belief in what it saw of a run grow old."""
    threading.Event().wait(1.1)


def test_an_alert_starts_a_run_with_what_it_says(receiver: Served, prefect: SyncPrefectClient) -> None:
    """The run knows its queue and the alert; the answer says where it can be looked at."""
    (result,) = receiver.post(alert()).json()["results"]
    (run,) = runs(prefect)
    assert (result["outcome"], result["queue"]) == ("started", "webhooks")
    assert result["link"].endswith(f"/runs/flow-run/{run.id}")
    assert result["run_id"].endswith(run.id.hex[-6:])
    assert run.state is not None
    assert run.state.type.value == "SCHEDULED"
    assert run.parameters["queue"] == "webhooks"
    assert run.parameters["alert"]["fingerprint"] == "HighDLQDepth-webhooks-"
    assert run.parameters["alert"]["starts_at"] == "2026-11-20T08:00:00Z"
    assert set(run.tags) >= {"alert", "HighDLQDepth"}
    way = httpx.get(f"{receiver.url}/incidents/webhooks")
    assert (way.status_code, way.headers["location"]) == (307, result["link"])


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic dXNlcjpwYXNz", "the-token"])
def test_nobody_else_starts_anything(receiver: Served, prefect: SyncPrefectClient, header: str | None) -> None:
    """Wrong or missing credentials are 401, whatever the body is; it is not even read."""
    headers = {"Authorization": header} if header else {}
    for body in (payload(alert()), {"nonsense": True}):
        answer = httpx.post(f"{receiver.url}/alerts", json=body, headers=headers)
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]
    assert runs(prefect) == []


def test_the_same_alert_again_makes_no_second_run(receiver: Served, prefect: SyncPrefectClient) -> None:
    """Repeats, another group, another time zone of the same moment; also when its run has ended long ago."""
    assert receiver.outcomes(alert()) == ["started"]
    assert receiver.outcomes(alert()) == ["repeated"]
    assert receiver.outcomes(alert(startsAt="2026-11-20T09:00:00+01:00")) == ["repeated"]
    (run,) = runs(prefect)
    put(prefect, run, Pending(), Running(), Completed())
    forget_looks()
    assert receiver.outcomes(alert()) == ["repeated"]
    assert len(runs(prefect)) == 1


def test_a_new_alert_joins_the_incident_that_goes_on(
    receiver: Served, prefect: SyncPrefectClient, settings: Settings
) -> None:
    """No rival: the timeline of the running incident tells of it, once."""
    (first,) = receiver.post(alert()).json()["results"]
    put(prefect, runs(prefect)[0], Pending(), Running())
    again = alert(startsAt=(SINCE + timedelta(minutes=9)).isoformat())
    assert receiver.outcomes(again, alert("DLQGrowingFast")) == ["joined", "joined"]
    assert receiver.outcomes(again, alert("DLQGrowingFast")) == ["repeated", "repeated"]
    assert len(runs(prefect)) == 1
    (event,) = told(settings, first["run_id"])
    assert event.kind == "alert"
    assert "HighDLQDepth" in event.text
    assert "DLQGrowingFast" in event.text


def test_an_alert_after_the_incident_starts_the_next(receiver: Served, prefect: SyncPrefectClient) -> None:
    """One that began to fire before the end still belongs to it; one that began later does not."""
    receiver.outcomes(alert())
    put(prefect, runs(prefect)[0], Pending(), Running(), Completed())
    forget_looks()
    assert receiver.outcomes(alert("DLQGrowingFast")) == ["joined"]
    later = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    assert receiver.outcomes(alert(startsAt=later)) == ["started"]
    assert len(runs(prefect)) == 2


def test_what_still_fires_long_after_the_incident_starts_the_next(
    settings: Settings, prefect: SyncPrefectClient, broker: redis.Redis
) -> None:
    """One that joined has had no run of its own: it starts one when the DLQ is over its threshold, else none."""
    with receiving(settings.model_copy(update={"receiver_settle": 0.0})) as receiver:
        receiver.outcomes(alert())
        assert receiver.outcomes(alert("DLQGrowingFast")) == ["joined"]
        put(prefect, runs(prefect)[0], Pending(), Running(), Completed())
        forget_looks()
        assert receiver.outcomes(alert(), alert("DLQGrowingFast")) == ["repeated", "repeated"]
        broker.lpush(DLQ, *range(1_001))
        assert receiver.outcomes(alert(), alert("DLQGrowingFast")) == ["repeated", "started"]
        assert len(runs(prefect)) == 2


def test_a_run_that_people_began_is_joined(receiver: Served, prefect: SyncPrefectClient, settings: Settings) -> None:
    """While a drain by hand holds the queue no incident is started; once it is over the alert starts one."""
    with open_queue(settings, "webhooks") as (queue, config):
        run = start(queue, config, Request(Kind.DRAIN, "ada"))
        assert receiver.outcomes(alert()) == ["joined"]
        assert [event.kind for event in told(settings, run.run_id)] == ["alert"]
        run.finish()
    assert receiver.outcomes(alert()) == ["started"]
    assert len(runs(prefect)) == 1


def test_a_run_that_people_try_again_is_joined(
    receiver: Served, prefect: SyncPrefectClient, settings: Settings
) -> None:
    """An incident that had ended goes on under its own name; as long as only its lock is left, posts come again."""
    (first,) = receiver.post(alert()).json()["results"]
    (run,) = runs(prefect)
    put(prefect, run, Failed())
    forget_looks()
    later = alert(startsAt=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    with open_queue(settings, "webhooks") as (queue, config):
        start(queue, config, Request(Kind.DRAIN, "alert"), first["run_id"])
        assert receiver.post(later).status_code == 503
        put(prefect, run, Running())
        forget_looks()
        assert receiver.outcomes(later) == ["joined"]
    assert len(runs(prefect)) == 1


def test_a_storm_ends_in_one_incident_a_queue(receiver: Served, prefect: SyncPrefectClient, settings: Settings) -> None:
    """500 alerts in one post, 200 posts at once from two Alertmanagers through two receivers."""
    names = ("webhooks", "jobs", "experiments")
    storm = [alert(queue=names[number % 3], mark=number) for number in range(500)]
    assert Counter(receiver.outcomes(*storm)) == {"started": 3, "joined": 497}
    with receiving(settings) as other, ThreadPoolExecutor(16) as pool:
        posts = [(way, alert(queue=names[n % 3], mark=f"s{n}")) for n in range(100) for way in (receiver, other)]
        answers = list(pool.map(lambda post: post[0].post(post[1]).status_code, posts))
    assert set(answers) == {200}
    assert queues_of(prefect) == dict.fromkeys(names, 1)


def test_a_storm_asks_prefect_once_a_queue(receiver: Served, prefect: SyncPrefectClient) -> None:
    """However many wait for a run, it is ordered once and counted once; two runs are never ordered at the same time."""
    create, under_way, most = PrefectClient.create_flow_run_from_deployment, Counter[str](), 0

    async def slow(self: PrefectClient, *arguments: Any, **more: Any) -> FlowRun:
        nonlocal most
        under_way.update(["now", "ever"])
        most = max(most, under_way["now"])
        await asyncio.sleep(0.5)
        under_way.subtract(["now"])
        return await create(self, *arguments, **more)

    names = ("webhooks", "jobs")
    storm = [alert(queue=names[number % 2], mark=number) for number in range(24)]
    with (
        patch.object(PrefectClient, "create_flow_run_from_deployment", slow),
        ThreadPoolExecutor(len(storm)) as pool,
    ):
        outcomes = Counter(said for found in pool.map(receiver.outcomes, storm) for said in found)
    assert outcomes == {"started": 2, "joined": 22}
    assert (most, under_way["ever"]) == (1, 2)
    assert [receiver.metric(f'dlq_receiver_runs_total{{queue="{name}"}}') for name in names] == [1, 1]
    assert queues_of(prefect) == dict.fromkeys(names, 1)


def test_two_receivers_at_once_start_one_run(receiver: Served, prefect: SyncPrefectClient, settings: Settings) -> None:
    """The first alerts of a queue, all new and all at the same moment: one wins, the others join."""
    with receiving(settings) as other, ThreadPoolExecutor(8) as pool:
        ways = [(way, alert(mark=number)) for number in range(8) for way in (receiver, other)]
        outcomes = Counter(said for found in pool.map(lambda way: way[0].outcomes(way[1]), ways) for said in found)
    assert len(runs(prefect)) == 1
    assert outcomes["started"] == 1
    assert set(outcomes) <= {"started", "joined", "repeated"}


def test_the_queue_is_of_the_label_or_the_rule_or_the_depth(
    settings: Settings, broker: redis.Redis, prefect: SyncPrefectClient
) -> None:
    """Without any of them the alert is counted and acknowledged."""
    mapped = Settings.model_validate(
        settings.model_dump() | {"alerts": {"Mapped": {"queue": "jobs", "parameters": {"pace": "none"}}}}
    )
    with receiving(mapped) as receiver:
        assert receiver.outcomes(alert("Elsewhere", queue=None)) == ["unmapped"]
        assert receiver.metric('dlq_receiver_alerts_total{outcome="unmapped"}') == 1
        assert receiver.outcomes(alert("Mapped", queue=None)) == ["started"]
        assert runs(prefect)[0].parameters["pace"] == "none"
        broker.lpush(DLQ, *range(1_001))
        broker.lpush("tokpulse:dlq:experiments", *range(1_000))
        assert receiver.outcomes(alert("Elsewhere", queue=None)) == ["started"]
    assert queues_of(prefect) == {"jobs": 1, "webhooks": 1}


def test_what_can_never_work_is_refused_with_the_reason(settings: Settings, prefect: SyncPrefectClient) -> None:
    """A queue that there is not, parameters that the flow does not take: 422; the others are started all the same."""
    wrong = Settings.model_validate(settings.model_dump() | {"alerts": {"Wrong": {"parameters": {"batch": "many"}}}})
    with receiving(wrong) as receiver:
        answer = receiver.post(alert(queue="nosuch"), alert("Wrong", queue="jobs"), alert())
        assert answer.status_code == 422
        assert "no queue nosuch; known: webhooks, jobs, experiments" in answer.text
        assert "batch" in answer.text
        assert queues_of(prefect) == {"webhooks": 1}
        assert receiver.outcomes(alert(queue="jobs")) == ["started"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'{"version": "3", "alerts": []}', 422),
        (b'{"version": "4", "alerts": [{"status": "firing", "labels": {}}]}', 422),
        (b'{"version": "4", "alerts": [' + b"[" * 100_000 + b"]}", 400),
        (b'{"version": "4", "alerts": [], "x": "\\ud800"}', 200),
        (b"\xff\xfe", 422),
    ],
)
def test_bodies_that_say_nothing_are_refused(receiver: Served, body: bytes, status: int) -> None:
    """4xx with a reason; nothing of the body comes back."""
    headers = BEARER | {"Content-Type": "application/json"}
    answer = httpx.post(f"{receiver.url}/alerts", content=body, headers=headers)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_of_more_than_a_megabyte_is_refused(receiver: Served, *, chunked: bool) -> None:
    """Also when it does not say how long it is."""
    big = b" " * 1_100_000
    content: Any = iter([big[:550_000], big[550_000:]]) if chunked else big
    headers = BEARER | {"Content-Type": "application/json"}
    try:
        status = httpx.post(f"{receiver.url}/alerts", content=content, headers=headers).status_code
    except httpx.WriteError:  # the receiver closes a connection that goes on sending
        status = 413
    assert status == 413
    assert receiver.outcomes(alert()) == ["started"]


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_body_that_dawdles_is_refused(receiver: Served, *, chunked: bool) -> None:
    """408 and the connection closed, however few bytes keep on coming; nothing else waits for it."""
    address = urlsplit(receiver.url)
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000"
    head = f"POST /alerts HTTP/1.1\r\nHost: receiver\r\nAuthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n"
    with (
        patch("deployments.receiver.body.PATIENCE", 1.0),
        socket.create_connection((str(address.hostname), address.port or 0), timeout=60) as client,
    ):
        client.sendall(head.encode())
        client.sendall(b"1\r\n{\r\n" if chunked else b"{")
        assert receiver.outcomes(alert()) == ["started"]
        answer = client.makefile("rb").read()  # until the receiver closes
    status, _, rest = answer.partition(b"\r\n")
    assert status.split()[1] == b"408"
    assert b"The body did not come within" in rest
    assert receiver.metric('dlq_receiver_posts_total{code="408"}') == 1


def test_resolved_before_the_first_move_cancels_the_run(
    receiver: Served, prefect: SyncPrefectClient, settings: Settings
) -> None:
    """The run is cancelled, with the reason; were a process on its way, it would move nothing."""
    (first,) = receiver.post(alert()).json()["results"]
    assert receiver.outcomes(alert(status="resolved")) == ["resolved"]
    (run,) = runs(prefect)
    assert run.state is not None
    assert run.state.type.value == "CANCELLED"
    assert "resolved: HighDLQDepth" in (run.state.message or "")
    with open_notebook(settings, "webhooks") as notebook:
        assert stop.asked(notebook, first["run_id"]) is not None
    assert receiver.outcomes(alert(status="resolved")) == ["repeated"]
    assert receiver.outcomes(alert()) == ["repeated"]


def test_resolved_while_the_run_is_still_created_cancels_it(receiver: Served, prefect: SyncPrefectClient) -> None:
    """Alertmanager gave up waiting for the answer to the firing alert, and its next post says that it is over."""
    create, asked, go = Prefect.create, threading.Event(), threading.Event()

    async def slow(self: Prefect, order: Any) -> Any:
        asked.set()
        await asyncio.to_thread(go.wait, 60)
        return await create(self, order)

    with patch.object(Prefect, "create", slow), ThreadPoolExecutor(2) as pool:
        fires = pool.submit(receiver.outcomes, alert())
        asked.wait(60)
        over = pool.submit(receiver.outcomes, alert(status="resolved"))
        assert wait([over], 0.5).not_done == {over}
        go.set()
        assert (fires.result(), over.result()) == (["started"], ["resolved"])
    (run,) = runs(prefect)
    assert run.state is not None
    assert run.state.type.value == "CANCELLED"


def test_resolved_in_mid_drain_asks_the_run_to_stop(
    receiver: Served, prefect: SyncPrefectClient, settings: Settings
) -> None:
    """The process is left alone: it finishes its wave and verifies. It waits for the last alert of the incident."""
    (first,) = receiver.post(alert()).json()["results"]
    receiver.outcomes(alert("DLQGrowingFast"))
    put(prefect, runs(prefect)[0], Pending(), Running())
    forget_looks()
    assert receiver.outcomes(alert(status="resolved")) == ["resolved"]
    with open_notebook(settings, "webhooks") as notebook:
        assert stop.asked(notebook, first["run_id"]) is None
        assert receiver.outcomes(alert("DLQGrowingFast", status="resolved")) == ["resolved"]
        request = stop.asked(notebook, first["run_id"])
    assert request is not None
    assert "resolved: DLQGrowingFast" in request.note
    run = prefect.read_flow_run(runs(prefect)[0].id)
    assert run.state is not None
    assert run.state.type.value == "RUNNING"
    assert [event.kind for event in told(settings, first["run_id"])] == ["alert", "resolved", "stop"]


def test_resolved_afterwards_is_told_in_the_timeline(
    receiver: Served, prefect: SyncPrefectClient, settings: Settings
) -> None:
    """The incident is over: nothing is stopped. An alert that nobody knows is acknowledged."""
    (first,) = receiver.post(alert()).json()["results"]
    put(prefect, runs(prefect)[0], Pending(), Running(), Completed())
    forget_looks()
    assert receiver.outcomes(alert(status="resolved")) == ["resolved"]
    (event,) = told(settings, first["run_id"])
    assert (event.kind, event.text) == ("resolved", "resolved: HighDLQDepth")
    assert receiver.outcomes(alert("Never", status="resolved")) == ["resolved, of no incident"]


def test_too_many_incidents_trip_the_cap(settings: Settings, prefect: SyncPrefectClient) -> None:
    """The third within an hour is held back, loudly and once; other queues go on."""
    said: list[str] = []
    capped = settings.model_copy(update={"receiver_incidents_per_hour": 2})
    with (
        receiving(capped) as receiver,
        patch("dlq.notices.send", lambda _settings, _notebook, notice: said.append(notice.title)),
    ):
        for number in range(4):
            later = (datetime.now(UTC) + timedelta(minutes=number)).isoformat()
            expected = "started" if number < 2 else "capped"
            assert receiver.outcomes(alert(startsAt=later)) == [expected]
            for run in runs(prefect):
                put(prefect, run, Completed())
            forget_looks()
        assert receiver.metric('dlq_receiver_capped_total{queue="webhooks"}') == 2
        assert receiver.outcomes(alert(queue="jobs")) == ["started"]
    assert said == ["webhooks: draining does not help; nothing more is started by itself"]
    assert queues_of(prefect) == {"webhooks": 2, "jobs": 1}


def test_a_prefect_that_does_not_answer_is_an_honest_503(settings: Settings, prefect: SyncPrefectClient) -> None:
    """With Retry-After; the same alert, sent again when Prefect is back, starts its run, once."""
    nowhere = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"})
    with nowhere, quick_to_give_up(), receiving(settings) as blind:
        answer = blind.post(alert())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "Prefect does not answer" in answer.json()["detail"]
        health = httpx.get(f"{blind.url}/healthz")
        assert (health.status_code, health.json()["ok"], health.json()["queues"]["jobs"]) == (503, False, "ok")
    with receiving(settings) as receiver:
        assert httpx.get(f"{receiver.url}/healthz").json()["ok"] is True
        assert receiver.outcomes(alert("DLQGrowingFast"), alert()) == ["joined", "repeated"]
    (run,) = runs(prefect)
    assert run.parameters["alert"]["name"] == "HighDLQDepth"


def test_a_broker_that_does_not_answer_is_an_honest_503(settings: Settings, prefect: SyncPrefectClient) -> None:
    """Without the notebook nobody knows what has been started; /metrics goes on without the queues."""
    gone = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    with receiving(gone) as receiver:
        answer = receiver.post(alert())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert receiver.metric('dlq_receiver_queue_up{queue="webhooks"}') == 0
        assert "tokpulse_dlq_depth{" not in httpx.get(f"{receiver.url}/metrics").text
    assert runs(prefect) == []


@pytest.mark.parametrize("dies", ["before the run", "after the run"])
def test_dying_between_claim_and_note_loses_and_doubles_nothing(
    settings: Settings, prefect: SyncPrefectClient, dies: str
) -> None:
    """Whoever comes next on the queue creates the claimed run, or finds it by its key."""
    create = Prefect.create

    async def fails(self: Prefect, order: Any) -> Any:
        if dies == "after the run":
            await create(self, order)
        raise RuntimeError("killed")

    with patch.object(Prefect, "create", fails), receiving(settings) as dying:
        assert dying.post(alert()).status_code == 500
    assert len(runs(prefect)) == (1 if dies == "after the run" else 0)
    with receiving(settings) as receiver:
        assert receiver.outcomes(alert("DLQGrowingFast")) == ["joined"]
        assert receiver.outcomes(alert()) == ["repeated"]
    (run,) = runs(prefect)
    assert run.parameters["alert"]["name"] == "HighDLQDepth"


def test_a_claim_whose_run_never_came_is_void_after_an_hour(settings: Settings, prefect: SyncPrefectClient) -> None:
    """The alert of that time is no longer what a new incident is about."""
    create = partial(patch.object, Prefect, "create")
    with create(side_effect=RuntimeError("killed")), receiving(settings) as dying:
        assert dying.post(alert("Old")).status_code == 500
    threading.Event().wait(3.1)
    with patch.object(incidents, "HOUR", timedelta(seconds=3)), receiving(settings) as receiver:
        assert receiver.outcomes(alert()) == ["started"]
    (run,) = runs(prefect)
    assert run.parameters["alert"]["name"] == "HighDLQDepth"


def test_metrics_show_the_queues(receiver: Served, broker: redis.Redis) -> None:
    """Depth, arrivals, age, live queue, quarantine and corruption, by queue."""
    assert receiver.metric('tokpulse_dlq_messages_total{queue="webhooks"}') == 0
    failed = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    broker.lpush(DLQ, f'{{"type": "webhook", "failedAt": "{failed}"}}', '{"type": "webhook"}', "{broken")
    broker.lpush("tokpulse:webhooks", "x")
    broker.lpush("tokpulse:quarantine:webhooks", "x", "y")
    expected = {
        "tokpulse_dlq_depth": 3,
        "tokpulse_dlq_messages_total": 3,
        "tokpulse_queue_depth": 1,
        "tokpulse_quarantine_depth": 2,
        "tokpulse_dlq_corrupted": 1,
    }
    assert {name: receiver.metric(f'{name}{{queue="webhooks"}}') for name in expected} == expected
    assert 3_600 <= receiver.metric('tokpulse_dlq_oldest_age_seconds{queue="webhooks"}') < 3_700
    assert receiver.metric('tokpulse_dlq_depth{queue="jobs"}') == 0
