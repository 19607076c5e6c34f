"""An operator and a plan that needs a person: approved, lowered, rejected, stale, timed out, and after a crash."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flows import Flow

from deployments.receiver.starting import Prefect
from dlq.admission import approvals
from dlq.admission.approvals import Answer, Asked, Decision
from dlq.brokers.opening import open_notebook, open_queue
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from flows import drain
from flows.approval import approval
from flows.discard import discard
from flows.incident import incident
from tasks.approving import remind_later
from tests.integration import test_flows
from tests.integration.test_flows import DLQ, LIVE, attempt, contents, fill, ledger_runs, retry
from tests.journey import ends, heard, story

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("default"),  # Prefect's server warns by itself
]
RULES = """
[policy]
unattended_levels = [1, 2]
approval_timeout = "4h"
[queues.webhooks.thresholds]
depth_warn = 5
depth_emergency = 10
"""
PARAMETERS = {"queue": "webhooks", "pace": "none", "reason": "gateway is back"}


@pytest.fixture
def client(embedded_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Give an empty Redis whose queue is at level 3 with more than ten messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLQ_REDIS_URL", embedded_server.url)
    monkeypatch.setenv("DLQ_HOME", str(tmp_path))
    (tmp_path / "dlq.toml").write_text(RULES)
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
        yield client


def carry_out(flow: Flow[..., Any], run: FlowRun) -> FlowRun:
    """Execute a flow run as a runner does, to its end or until it is suspended, and read it again."""
    with suppress(Pause):
        return test_flows.carry_out(flow, run)
    with get_client(sync_client=True) as server:
        return server.read_flow_run(run.id)


def launch(**more: Any) -> FlowRun:
    """Start an incident from its deployment, as the UI does, and let it go as far as it goes by itself."""
    return launch_flow(incident, PARAMETERS | more)


def launch_flow(flow: Flow[..., Any], parameters: dict[str, Any]) -> FlowRun:
    """Start any flow in that way."""
    with get_client(sync_client=True) as server:
        deployment = server.create_deployment(server.create_flow(flow), name=flow.name)
        run = server.create_flow_run_from_deployment(deployment, parameters=parameters)
    return carry_out(flow, run)


def press(run: FlowRun, flow: Flow[..., Any] = incident, **said: Any) -> FlowRun:
    """Fill the form in and resume, as the UI does; then let the flow run go on."""
    with get_client(sync_client=True) as server:
        answered = server.resume_flow_run(run.id, run_input={"why": "go on"} | said)
        assert answered.status.value == "ACCEPT", answered
        again = server.read_flow_run(run.id)
    return carry_out(flow, again)


def question(run: FlowRun) -> Asked:
    """Read what the flow run asks."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        asked = approvals.asked(notebook, run_id_of(run))
    assert asked is not None
    return asked


def run_id_of(run: FlowRun) -> str:
    """Name the ledger run of a flow run."""
    return f"webhooks-{run.created:%Y-%m-%d-%H%M}-{run.id.hex[-6:]}"


def lines(run: FlowRun) -> list[str]:
    """Give the lines about approval in the run's timeline."""
    return [text for kind, text in story(run_id_of(run)) if kind == "approval"]


def heard_of(run: FlowRun) -> list[str]:
    """Give the titles of what people were told about the run, the newest last, each once."""
    return list(dict.fromkeys(reversed(heard(run_id_of(run)))))[::-1]


def agreed(run: FlowRun, *more: str, verdict: str = "pending", said: str = "", **counts: int) -> None:
    """Check the end of a run that a person agreed to, with `more` lines in its timeline; nobody takes its messages."""
    calls = ["diagnosis", "escalation", "escalation"]
    ends(run_id_of(run), verdict, [*calls, "approval", *more, "approval", "follow-up"], said, **counts)
    assert heard_of(run)[-2:] == ["webhooks: waiting for the workers", "Delayed processing of webhooks"]


def nothing_moved(run: FlowRun, words: str) -> None:
    """Check the end of a run that was rejected: what the flow run says, the timeline, what people were told."""
    assert state(run) == ("CANCELLED", "Rejected")
    plan = question(run).plan.hash
    assert run.state is not None
    assert run.state.message == f"Nothing was moved: plan {plan} was {words}."
    with open_queue(load_settings(), "webhooks") as (broker, _):
        assert broker.run(run_id_of(run)) is None
    waits, answer = lines(run)
    assert waits.startswith("waits for a person: the queue is at level 3")
    assert answer == f"{words} (plan {plan})"
    assert heard_of(run)[-1] == f"webhooks: the plan was {words}"


def state(run: FlowRun) -> tuple[str, str]:
    """Give type and name of a flow run's state."""
    assert run.state is not None
    return run.state.type.value, run.state.name or ""


def facts(client: redis.Redis, run: FlowRun) -> dict[str, str]:
    """Read the run's record in the ledger."""
    raw = client.hgetall(f"dlq-drain:{{{DLQ}}}:run:{run_id_of(run)}")
    return {name.decode(): value.decode() for name, value in raw.items()}


def test_approved_with_a_lower_limit(client: redis.Redis) -> None:
    """It waits without lock or move; then it moves as many as the person said; the ledger has who and which plan."""
    truth = fill(client, 40)
    run = launch()
    assert state(run) == ("PAUSED", "Suspended")
    assert contents(client, DLQ) == truth
    assert client.exists(f"dlq-drain:{{{DLQ}}}:lock") == 0
    assert ledger_runs(client) == []
    asked = question(run)
    assert asked.reasons == ("the queue is at level 3",)
    done = press(run, answer="approve", who="ada", why="looks good", limit=15)
    assert state(done)[0] == "COMPLETED"
    assert (client.llen(LIVE), client.llen(DLQ)) == (15, 25)
    ledger = facts(client, run)
    assert ledger["approved_plan"] == asked.plan.hash
    assert ledger["approval"] == "approved by ada, 15 messages at most: looks good"
    assert [line.partition(" ")[0] for line in lines(run)] == ["waits", "approved"]
    assert "webhooks: a plan waits for a person (the queue is at level 3)" in heard_of(run)
    agreed(run, said="15 selected", pending=15)


def test_reminders_are_scheduled(client: redis.Redis) -> None:
    """Where the watch is deployed, one look is scheduled for the reminder's time, and a retry schedules none twice."""
    fill(client, 40)
    with get_client(sync_client=True) as server:
        server.create_deployment(server.create_flow(approval), name="approval")
    run = launch()
    asked = question(run)
    remind_later.fn("webhooks", asked.run_id, asked)
    with get_client(sync_client=True) as server:
        looks = [one for one in server.read_flow_runs() if one.parameters.get("run_id") == asked.run_id]
    (look,) = looks
    assert look.expected_start_time == asked.at + timedelta(minutes=30)


def test_rejected(client: redis.Redis) -> None:
    """Nothing moves, the flow run says who and why, and so do timeline and notices."""
    truth = fill(client, 40)
    run = launch()
    done = press(run, answer="reject", who="bob", why="not during the sale")
    nothing_moved(done, "rejected by bob: not during the sale")
    assert contents(client, DLQ) == truth
    assert ledger_runs(client) == []


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_a_discard_waits_for_a_person(client: redis.Redis, answer: str) -> None:
    """Nothing is dropped before somebody agrees, nothing when somebody does not, and never more than was asked."""
    fill(client, 40)
    client.lpush(DLQ, b'{"id": "useless", "type": "order", "error": "KeyError: gone"}')
    truth = contents(client, DLQ)
    run = launch_flow(discard, {"queue": "webhooks", "error": "KeyError", "reason": "cannot be mended"})
    assert state(run) == ("PAUSED", "Suspended")
    assert contents(client, DLQ) == truth
    done = press(run, discard, answer=answer, who="ada", why="asked the customer")
    left = truth - Counter([b'{"id": "useless", "type": "order", "error": "KeyError: gone"}'])
    if answer == "reject":
        assert contents(client, DLQ) == truth
        nothing_moved(done, "rejected by ada: asked the customer")
        return
    assert state(done) == ("COMPLETED", "Completed")
    assert contents(client, DLQ) == left
    ends(run_id_of(run), "done", ["approval", "approval"], "discard of webhooks", dropped=1)
    assert heard_of(run)[-1] == "webhooks: 1 message was dropped"


def test_a_stale_approval_is_void(client: redis.Redis) -> None:
    """The queue doubled while the plan waited: the yes counts for nothing; a new plan is asked about, and holds."""
    truth = fill(client, 40)
    run = launch()
    old = question(run)
    later = [b'{"id": "late-%d", "type": "late", "error": "KeyError"}' % number for number in range(40)]
    client.lpush(DLQ, *later)
    waits = press(run, answer="approve", who="ada")
    assert state(waits) == ("PAUSED", "Suspended")
    assert ledger_runs(client) == []
    new = question(run)
    assert (old.plan.selected, new.plan.selected) == (40, 80)
    _, void, again = lines(run)
    assert void == f"plan {old.plan.hash} is void: 80 messages would be moved now, 40 when it was planned"
    assert again == f"waits for a person: the queue is at level 3 (plan {new.plan.hash})"
    done = press(waits, answer="approve", who="ada")
    assert state(done)[0] == "COMPLETED"
    assert contents(client, LIVE) == truth + Counter(later)
    assert facts(client, run)["approved_plan"] == new.plan.hash
    agreed(run, "approval", "approval", said="late · KeyError 0 0 40 pending", pending=80)


def test_an_answer_beyond_the_bounds_is_asked_again(client: redis.Redis) -> None:
    """Prefect lets a limit pass that raises the plan's: it is refused after the resume, in words, and nothing moves."""
    fill(client, 40)
    run = launch()
    waits = press(run, answer="approve", who="ada", limit=5_000)
    assert state(waits) == ("PAUSED", "Suspended")
    assert lines(run)[-1] == "an answer could not be used: The limit may only lower what the plan moves"
    assert state(press(waits, answer="approve", who="ada"))[0] == "COMPLETED"
    assert client.llen(LIVE) == 40
    agreed(run, "approval", pending=40)


def test_silence_is_a_rejection(client: redis.Redis, tmp_path: Path) -> None:
    """When the time is over the watch rejects the plan and wakes the flow run, which ends and moves nothing."""
    (tmp_path / "dlq.toml").write_text(RULES.replace('"4h"', '"2s"'))
    truth = fill(client, 40)
    run = launch()
    watch = attempt(approval, queue="webhooks", run_id=run_id_of(run))
    while "Reminded" in ((watch.state and watch.state.message) or ""):
        watch = attempt(approval, queue="webhooks", run_id=run_id_of(run))
    assert "goes on" in ((watch.state and watch.state.message) or "")
    with get_client(sync_client=True) as server:
        done = carry_out(incident, server.read_flow_run(run.id))
    nothing_moved(done, "rejected by nobody: nobody answered in time")
    assert contents(client, DLQ) == truth
    assert sum("waits for a person" in title for title in heard(run_id_of(run))) >= 2


def by_watch(run_id: str) -> None:
    """Let the scheduled watch look at the question."""
    attempt(approval, queue="webhooks", run_id=run_id)


def by_receiver(run_id: str) -> None:
    """Wake the run as the receiver does when a button was pressed."""
    with open_notebook(load_settings(), "webhooks") as notebook:
        waits = approvals.wake_up(notebook, run_id)
    assert waits is not None

    async def wake() -> list[bool]:
        async with get_client() as server:
            prefect = Prefect(server)
            return [await prefect.resume(UUID(waits[0]), waits[1]) for _ in range(2)]

    assert asyncio.run(wake()) == [True, False]


@pytest.mark.parametrize("wake", [by_watch, by_receiver])
def test_an_answer_from_elsewhere_wakes_the_run(client: redis.Redis, wake: Callable[[str], None]) -> None:
    """A button or a command decides: the flow run is resumed, takes that answer and asks no more."""
    truth = fill(client, 40)
    run = launch()
    asked = question(run)
    assert UUID(asked.flow_run) == run.id
    with open_notebook(load_settings(), "webhooks") as notebook:
        answer = Decision(answer=Answer.APPROVE, who="carol", by="slack")
        approvals.decide(notebook, asked.run_id, asked.plan.hash, answer)
    wake(asked.run_id)
    with get_client(sync_client=True) as server:
        done = carry_out(incident, server.read_flow_run(run.id))
    assert state(done)[0] == "COMPLETED"
    assert contents(client, LIVE) == truth
    assert facts(client, run)["approval"] == "approved by carol"
    agreed(run, pending=40)


SLOWLY = {"pace": "fixed", "batch": 10, "pause": 1, "max_batches": 0}


def press_and_crash(run: FlowRun, **said: Any) -> FlowRun:
    """Say yes, and let the drain break after its second wave."""
    with pytest.MonkeyPatch.context() as patch:
        calls, watch = iter(range(10)), drain.watch_wave
        patch.setattr(drain, "watch_wave", lambda *args: 1 / 0 if next(calls) == 1 else watch(*args))
        failed = press(run, answer="approve", who="ada", **said)
    assert state(failed)[0] == "FAILED"
    return failed


def test_a_crash_after_the_yes_asks_nothing_again(client: redis.Redis) -> None:
    """The drain broke midway: a retry from the UI goes on under the approval, though half of the queue is gone."""
    truth = fill(client, 40)
    run = launch(**SLOWLY)
    failed = press_and_crash(run)
    assert client.llen(DLQ) == 20
    done = retry(incident, failed)
    assert state(done)[0] == "COMPLETED"
    assert contents(client, LIVE) == truth
    assert ledger_runs(client) == [run_id_of(run)]
    assert "webhooks: the flow run failed" in heard_of(run)
    agreed(run, pending=40)


def test_a_lowered_limit_outlives_a_crash(client: redis.Redis) -> None:
    """The person lowered 40 to 25 and the drain broke after 20: a retry moves five more, asks nothing, and says 25."""
    fill(client, 40)
    run = launch(**SLOWLY)
    failed = press_and_crash(run, limit=25, why="a part first")
    assert (client.llen(LIVE), client.llen(DLQ)) == (20, 20)
    done = retry(incident, failed)
    assert state(done)[0] == "COMPLETED"
    assert (client.llen(LIVE), client.llen(DLQ)) == (25, 15)
    assert facts(client, run)["approval"] == "approved by ada, 25 messages at most: a part first"
    assert "webhooks: the flow run failed" in heard_of(run)
    agreed(run, pending=25)


def test_without_a_deployment_it_ends_closed(client: redis.Redis) -> None:
    """There is no form to fill in: the run says how to approve it, and a retry after that goes on."""
    truth = fill(client, 40)
    run = attempt(incident, **PARAMETERS)
    assert state(run) == ("FAILED", "NeedsApproval")
    assert f"dlq approve {run_id_of(run)}" in ((run.state and run.state.message) or "")
    assert contents(client, DLQ) == truth
    with open_notebook(load_settings(), "webhooks") as notebook:
        asked = question(run)
        approvals.decide(notebook, asked.run_id, asked.plan.hash, Decision(answer=Answer.APPROVE, who="ada"))
    assert state(retry(incident, run))[0] == "COMPLETED"
    assert contents(client, LIVE) == truth
    agreed(run, pending=40)
