"""`dlq up`: start everything, say where it is, keep it running until a signal, stop all of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from dlq.config.settings import load_settings
from dlq.errors import DlqError
from dlq.up.guard import Guard
from dlq.up.home import hold
from dlq.up.leftovers import in_hand
from dlq.up.service import Service
from dlq.up.services import Plan, answers
from dlq.up.supervisor import Say, Supervisor
from dlq.up.voice import Voice

TICK_SECONDS: Final = 0.2


class _StopNowError(BaseException):
    """A second signal: stop without waiting for anybody."""


@dataclass(slots=True)
class Signals:
    """Ctrl-C, SIGTERM and the end of the terminal: the first asks to stop, the second one does not wait."""

    asked: bool = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if self.asked:
            raise _StopNowError
        self.asked = True


@contextmanager
def heeding_signals() -> Iterator[Signals]:
    """Take the signals that mean stop; one that was ignored before (nohup) stays ignored."""
    signals = Signals()
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signals) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(voice: Voice) -> int:
    """Run until stopped; give the exit status. DlqError says why it does not start, or cannot go on."""
    settings = load_settings(join=False)
    with heeding_signals() as signals, hold(settings.home) as home:
        plan = Plan.of(settings, home)
        plan.require_ports()
        with running(plan, voice.say) as supervisor:
            _welcome(voice, plan, supervisor)
            started, announced = time.monotonic(), False
            while not signals.asked:
                supervisor.tick()
                if supervisor.ready and not announced:
                    _announce(voice, plan, supervisor, time.monotonic() - started)
                    announced = True
                time.sleep(TICK_SECONDS)
            runs = in_hand(plan.api)
            more = f" These flow runs go on with the next start: {', '.join(runs)}." if runs else ""
            voice.say("stopping", f"Stopping ... (once more: at once){more}", flow_runs=runs)
        voice.say("stopped", f"Stopped. The state stays in {home.folder}.")
    return 0


@contextmanager
def running(plan: Plan, say: Say, more: Sequence[Service] = ()) -> Iterator[Supervisor]:
    """Give a supervisor of the plan's services and some more, not started yet; all are stopped at the end.

    An interrupt during that stop kills what is left.
    """
    guard = Guard(plan.home.lock)
    supervisor = Supervisor([*plan.services(say), *more], plan.home.logs, plan.environment(), guard, say)
    try:
        yield supervisor
    except DlqError as exc:
        say("failed", "One program cannot go on; stopping the others.", why=str(exc))
        raise
    finally:
        try:
            supervisor.stop()
        except (KeyboardInterrupt, _StopNowError):
            supervisor.kill()
        guard.close()


def _welcome(voice: Voice, plan: Plan, supervisor: Supervisor) -> None:
    names = ", ".join(service.title for service in supervisor.services)
    voice.say("starting", f"Starting {names}. State and logs: {plan.home.folder}", home=str(plan.home.folder))
    if not plan.redis_is_ours and not answers(plan.settings.redis_url.get_secret_value()):
        voice.say("warning", f"the Redis at {plan.settings.redacted} does not answer yet")


def _announce(voice: Voice, plan: Plan, supervisor: Supervisor, seconds: float) -> None:
    settings, home = plan.settings, plan.home
    whose = "its own, since no DLQ_REDIS_URL is set" if plan.redis_is_ours else "yours"
    token = f"token in {home.token_file}" if plan.token_is_ours else "token: the one that you set"
    state: dict[str, object] = {
        "ui": plan.api.ui,
        "prefect_api": plan.api.url,
        "receiver": plan.receiver,
        "redis": settings.redacted,
        "home": str(home.folder),
        "logs": str(home.logs),
        "token_file": str(home.token_file) if plan.token_is_ours else None,
        "pids": supervisor.pids,
    }
    text = "\n".join(
        [
            f"Everything is up ({seconds:.0f} s). Ctrl-C stops it.",
            f"  Prefect UI   {plan.api.ui}",
            f"  Alerts       POST {plan.receiver}  ({token})",
            f"  Redis        {settings.redacted}  ({whose})",
            f"  Logs         {home.logs}",
        ]
    )
    home.announce({**state, "redis_url": settings.redis_url.get_secret_value() if plan.redis_is_ours else None})
    voice.say("up", text, **state)
