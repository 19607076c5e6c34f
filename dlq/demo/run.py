"""`dlq demo`: an incident on three queues with a known truth, from the alert to the report, on servers of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from rich.console import Console

from dlq.brokers.redis_errors import explain
from dlq.config.settings import load_settings
from dlq.demo.alarm import post
from dlq.demo.display import Teller
from dlq.demo.ground import REDIS, standing
from dlq.demo.incident import Incident
from dlq.demo.lists import open_lists
from dlq.demo.monitoring import Monitoring
from dlq.demo.stage import make_plan, own_home
from dlq.demo.workforce import working
from dlq.demo.world import World, make_world
from dlq.errors import DlqError
from dlq.up.command import running
from dlq.up.services import Plan, answers

if TYPE_CHECKING:
    from types import FrameType

    from dlq.up.supervisor import Supervisor

START_SECONDS: Final = 150.0
_TICK: Final = 0.2
_USED: Final = "In {redis} the demo uses the lists tokpulse:NAME, tokpulse:dlq:NAME and tokpulse:quarantine:NAME only"
_LEFT: Final = "They stay in {redis}; delete them before another demo. The ledger beside them expires in {days} days"
_STOPPED: Final = "The servers stop now, and their pages with them; `dlq demo --keep` leaves everything up"


class DemoKeysError(DlqError):
    """The Redis of DLQ_REDIS_URL already holds lists with the names that the demo uses."""

    exit_status = 3
    advice = "Delete those lists if they are of an earlier demo, or unset DLQ_REDIS_URL: the demo then starts its own."


class DemoStartError(DlqError):
    """Not all of the demo's servers came up."""

    advice = "See the logs in the demo's folder."


def main(messages: int = 60_000, seed: int = 7, *, broker: str = REDIS, keep: bool = False) -> int:
    """Run the demo; return 0 only if the truth matches and no message is unexplained, 130 when interrupted.

    `broker` is one of `ground.BROKERS`. `keep` leaves everything up at the end, until Ctrl-C.
    """
    console = Console(highlight=False)
    try:
        with _interrupting():
            return _demo(console, messages, seed, broker, keep=keep)
    except KeyboardInterrupt:
        console.print("Stopped. Nothing of the demo runs any more.")
        return 130


@contextmanager
def _interrupting() -> Iterator[None]:
    """Let SIGTERM and the end of the terminal do what Ctrl-C does."""
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _demo(console: Console, messages: int, seed: int, broker: str, *, keep: bool) -> int:
    told = load_settings(join=False)
    teller = Teller(console, time.monotonic())
    with own_home(told.home.resolve() / "demo") as home, standing(broker) as ground:
        monitoring = Monitoring.find(home.folder / "monitoring") if ground.watched else None
        plan = make_plan(told, home, monitoring, ground)
        if not plan.redis_is_ours and not ground.said:
            _refuse_others(plan)
        teller.tell(
            f"An incident on three queues in {ground.title}, on servers of its own. State and logs: {home.folder}"
        )
        if not plan.redis_is_ours and not ground.said:
            teller.tell(_USED.format(redis=plan.settings.redacted))
        more = monitoring.services(plan) if monitoring else []
        with running(plan, teller.say, more) as supervisor:
            for group in ground.groups:
                supervisor.guard.add(group)
            world = _prepare(plan, teller, supervisor, messages, seed)
            ok = _incident(plan, teller, supervisor, world, monitoring)
            if not plan.redis_is_ours and not ground.said:
                teller.tell(_LEFT.format(redis=plan.settings.redacted, days=plan.settings.ledger_days))
            if not keep:
                teller.tell(_STOPPED)
            else:
                teller.tell(f"Everything stays up until Ctrl-C: {plan.api.ui}, queues in {plan.settings.redacted}")
                with suppress(KeyboardInterrupt):
                    while True:
                        supervisor.tick()
                        time.sleep(_TICK)
    return 0 if ok else 1


def _prepare(plan: Plan, teller: Teller, supervisor: Supervisor, messages: int, seed: int) -> World:
    """Make the dead letters while the servers start, and wait for these."""
    supervisor.tick()
    teller.tell(f"Making {messages:,} dead letters while the servers start ...")
    world = make_world(messages, seed, datetime.now(UTC))
    url = plan.settings.redis_url.get_secret_value()
    _until(supervisor, lambda: not plan.redis_is_ours or answers(url))
    with open_lists(plan.settings) as lists:
        for name in world.letters:
            config = plan.settings.queue(name)
            world.fill(lists, name, config.dlq)
            lists.length(config.live)  # its queue is there before its workers are: an incident may begin sooner
    teller.tell("In the DLQs: " + ", ".join(f"{name} {len(some):,}" for name, some in world.letters.items()))
    _until(supervisor, lambda: supervisor.ready)
    teller.tell(f"Everything is up; watch it at {plan.api.ui}")
    return world


def _incident(plan: Plan, teller: Teller, supervisor: Supervisor, world: World, monitoring: Monitoring | None) -> bool:
    """Let the alerts come, watch the incidents to their end, and compare everything with the truth."""
    if monitoring is None:
        teller.tell("Without a Prometheus and an Alertmanager the demo posts their alert to the receiver itself")
        post(plan, {queue: len(letters) for queue, letters in world.letters.items()})
    else:
        teller.tell("Prometheus sees the depth; Alertmanager posts the alerts to the receiver, which starts incidents")
    with working(plan, world, supervisor.guard) as logs:
        incident = Incident(teller, plan, world, logs, supervisor.tick)
        incident.watch()
    return incident.judge()


def _until(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not done():
        supervisor.tick()
        if time.monotonic() > deadline:
            raise DemoStartError(seconds=round(START_SECONDS), logs=supervisor.logs)
        time.sleep(_TICK)


@contextmanager
def _named_failure(plan: Plan) -> Iterator[None]:
    """Give the failures of the user's own Redis their names; the lists of the demo speak to it without ours."""
    try:
        yield
    except RedisError as exc:
        raise explain(exc, f"looking at {plan.settings.redacted}") from exc


def _refuse_others(plan: Plan) -> None:
    """Refuse to mix the demo's messages with somebody's own."""
    keys = [key for queue in plan.settings.queues.values() for key in (queue.dlq, queue.live, queue.quarantine)]
    with _named_failure(plan), open_lists(plan.settings) as lists:
        there = [key for key in keys if lists.length(key)]
    if there:
        raise DemoKeysError(keys=there, redis=plan.settings.redacted)
