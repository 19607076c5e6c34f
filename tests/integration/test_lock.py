"""Who may change a queue: one run at a time, and never one that lost the lock."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from dlq.brokers.base import Place, Route
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.chunks import MAX_MESSAGES
from dlq.engine.run import Kind, resume
from dlq.errors import LockedError, LockLostError
from dlq.messages.selectors import Selector
from tests.integration.conformance import CONFIG, Desk, RedisDesk, batch_of, letter

LETTERS = [letter(number) for number in range(60)]
RUN_KEYS = "dlq-drain:{tokpulse:dlq:webhooks}:"


@pytest.fixture
def desk(server: EmbeddedRedis) -> Iterator[RedisDesk]:
    """Give a queue with 60 dead letters."""
    desk = RedisDesk(server.url)
    desk.put(*LETTERS)
    yield desk
    desk.close()


def test_a_second_run_is_refused_with_who_and_since(desk: Desk) -> None:
    """The refusal names the run, the person and the moment; it has exit status 3."""
    desk.start(who="ada@night-desk")
    with pytest.raises(LockedError, match=r"run r1, who ada@night-desk, since 20\d\d-.*expires in \d+ s") as refused:
        desk.start(name="r2", who="bob")
    assert refused.value.exit_status == 3
    assert desk.show() == LETTERS
    assert desk.queue.run("r2") is None


def test_the_command_refuses_a_second_drain_with_status_3(desk: RedisDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message on stderr says who holds the queue, and nothing moves."""
    monkeypatch.setenv("DLQ_REDIS_URL", desk.url)
    desk.start(who="ada@night-desk")
    words = [sys.executable, "-m", "dlq", "drain", "webhooks", "--yes", "--pace", "none"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 3
    assert "ada@night-desk" in done.stderr
    assert desk.show() == LETTERS


def test_an_expired_lock_can_be_taken(desk: Desk) -> None:
    """The old holder learns who has it now, on its next commit and on renewing; it changes nothing any more."""
    old = desk.connect(lock_seconds=0.05)
    stale = old.acquire("r1", "ada")
    old.begin(stale, Route(), 0, {"queue": "webhooks", "kind": "drain", "started_at": "1"})
    time.sleep(0.1)
    assert old.holder() is None
    run = desk.start(name="r2", who="bob")
    with pytest.raises(LockLostError, match="taken over by run r2 of bob"):
        old.commit(stale, Route(), batch_of(1, LETTERS[:5], b"m")).result()
    with pytest.raises(LockLostError, match="taken over by run r2 of bob"):
        old.renew(stale)
    with pytest.raises(LockLostError):
        old.finish(stale, "done", {})
    with pytest.raises(LockLostError):
        old.begin(stale, Route(), 1, {})
    old.release(stale)
    assert desk.show() == LETTERS
    assert desk.show(Place.LIVE) == []
    assert desk.queue.holder() == "r2 of bob"
    run.wave(1)
    assert run.finish().redriven == 60


def test_an_expired_lock_that_nobody_took_is_renewed(desk: Desk) -> None:
    """A long pause alone costs nothing."""
    slow = desk.connect(lock_seconds=0.05)
    hold = slow.acquire("r1", "ada")
    slow.begin(hold, Route(), 0, {"queue": "webhooks", "kind": "drain", "started_at": "1"})
    time.sleep(0.1)
    slow.renew(hold)
    assert slow.holder() == "r1 of ada"
    assert slow.commit(hold, Route(), batch_of(1, LETTERS[:5], b"m")).result().selected == 5


def test_a_run_that_is_taken_over_stops_at_its_next_wave(desk: RedisDesk) -> None:
    """Somebody resumes the run elsewhere: its first process moves nothing more, and no message moves twice."""
    first = desk.start(selector=Selector(types=("email",)))
    first.wave(1, 10)
    other = desk.connect()
    second = resume(other, CONFIG, "r1", "bob", take_over=True)
    with pytest.raises(LockLostError, match="bob"):
        first.wave(2, 10)
    second.wave(2)
    record = second.finish()
    assert record.redriven == 30
    assert desk.show(Place.LIVE) == LETTERS[1::2]
    assert desk.show() == LETTERS[::2]


def test_a_resume_does_not_take_a_lock_that_is_alive(desk: RedisDesk) -> None:
    """Without --take-over a run whose process may still work is left alone."""
    desk.start(who="ada").wave(1, 10)
    with pytest.raises(LockedError, match="ada"):
        resume(desk.connect(), CONFIG, "r1", "bob")


def test_tokens_only_grow(desk: Desk) -> None:
    """A released lock makes its token stale, and none is given out twice."""
    tokens = []
    for number in range(4):
        hold = desk.queue.acquire(f"r{number}", "ada")
        desk.queue.begin(hold, Route(), 0, {"queue": "webhooks", "kind": "drain", "started_at": "1"})
        desk.queue.release(hold)
        with pytest.raises(LockLostError):
            desk.queue.commit(hold, Route(), batch_of(1, LETTERS[:1], b"m")).result()
        tokens.append(hold.token)
    assert tokens == sorted(set(tokens))
    assert desk.show() == LETTERS


def test_the_lock_is_given_back_and_expires(desk: RedisDesk) -> None:
    """A finished run leaves no lock; a held one has an expiry that each commit moves on."""
    run = desk.start()
    desk.client.pexpire(RUN_KEYS + "lock", 5_000)
    run.wave(1, 10)
    assert desk.client.pttl(RUN_KEYS + "lock") > 20_000
    run.finish()
    assert not desk.client.exists(RUN_KEYS + "lock")


@pytest.mark.parametrize("wave", [100, 1_000])
def test_the_ledger_takes_24_bytes_a_message_at_the_most(desk: RedisDesk, wave: int) -> None:
    """At 100 messages a batch and at as many as fit, as Redis itself measures it."""
    desk.put(*(letter(number) for number in range(100, 5_040)))
    assert desk.run(wave=wave).redriven == 5_000
    batches = list(desk.queue.batches("r1"))
    assert len(batches) == 5_000 // min(wave, MAX_MESSAGES)
    size = desk.client.memory_usage(RUN_KEYS + "run:r1:batches", samples=0)
    assert size is not None
    assert size / 5_000 <= 24


def test_every_ledger_key_expires(desk: RedisDesk) -> None:
    """Runs, batches, originals and signatures of a drain, a discard and both rollbacks; only the fence stays."""
    desk.run(name="r1", selector=Selector(types=("email",)))
    desk.run(Kind.DISCARD, "r2")
    desk.undo("r2")
    desk.undo("r1")
    keys = desk.client.keys("dlq-drain:*")
    assert len(keys) > 8
    forever = [key for key in keys if desk.client.pttl(key) < 0]
    assert forever == [f"{RUN_KEYS}fence".encode()]


def test_a_clock_that_runs_ahead_forgets_nobodys_runs(desk: RedisDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One machine's clock is a year ahead: the runs of all are listed still, so a rollback knows the later ones."""
    desk.run(name="r1", limit=10)
    real = time.time
    monkeypatch.setattr("dlq.brokers.redis_ledger.time.time", lambda: real() + 365 * 86_400)
    desk.run(name="r2", limit=10)
    assert [record.run_id for record in desk.queue.runs(10)] == ["r2", "r1"]
