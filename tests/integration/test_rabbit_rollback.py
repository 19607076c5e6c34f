"""What becomes of a run on RabbitMQ whose process ended within a batch, when it is rolled back instead of resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from dlq.brokers.base import Place
from dlq.brokers.rabbit_flights import Flights
from dlq.brokers.rabbit_queue import RabbitQueue
from dlq.brokers.rabbit_reading import Pass
from dlq.embedded.rabbit import EmbeddedRabbit
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.chunks import MAX_MESSAGES
from dlq.engine.rollback import Undone, roll_back
from dlq.engine.run import Kind
from dlq.engine.verify import verify
from dlq.messages.edits import Edit
from dlq.messages.reading import Reading
from dlq.messages.selectors import Selector
from dlq.records.ledger import DUPLICATE
from tests.integration.conformance import CONFIG, KEYS, RabbitDesk, is_of, letter

EMAIL = Selector(types=("email",))
MESSAGES = [letter(number) for number in range(40)]
EMAILS = [message for message in MESSAGES if is_of("email", message)]


class Ended(Exception):  # noqa: N818 - it is not an error of the program
    """The process ends here."""


def _end(*_args: object, **_named: object) -> None:
    raise Ended


@pytest.fixture(params=["classic", "quorum"])
def desk(
    request: pytest.FixtureRequest, rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis
) -> Iterator[RabbitDesk]:
    """Give an empty queue of either kind."""
    desk = RabbitDesk(rabbit_server, redis_server.url, request.param)
    yield desk
    desk.close()


@pytest.fixture
def classic(rabbit_server: EmbeddedRabbit, redis_server: EmbeddedRedis) -> Iterator[RabbitDesk]:
    """Give an empty classic queue."""
    desk = RabbitDesk(rabbit_server, redis_server.url)
    yield desk
    desk.close()


def leave(desk: RabbitDesk) -> None:
    """Let go as the end of a process does: nothing is waited for, nothing is written; the lock has run out."""
    queue: Any = desk.queue
    queue._forget()
    queue._flights.close()
    queue._rabbit.close()
    queue._wire.close()
    desk.client.delete(*desk.client.keys("dlq-drain:*:lock"))


def cut_off(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch, kind: Kind = Kind.DRAIN, waves: int = 0, **request: Any
) -> None:
    """Begin run r1; its process ends when a batch is published and confirmed, but not yet in the ledger."""
    run = desk.start(kind, **request)
    for number in range(1, waves + 1):
        run.wave(number, 10)
    with monkeypatch.context() as patched:
        patched.setattr(RabbitQueue, "_write", _end)
        with pytest.raises(Ended):
            run.wave(waves + 1)
    leave(desk)


def taken_back(desk: RabbitDesk) -> Undone:
    """Roll r1 back as another process would; its books must close."""
    other = desk.connect()
    undone = roll_back(other, CONFIG, "r1", "bo")
    outcome = verify(other, "r1", Reading.of(CONFIG))
    other.close()
    assert outcome.unexplained == 0
    return undone


def seen(desk: RabbitDesk, place: Place) -> list[tuple[bytes, bool]]:
    """Take all of a place: (body, whether it is marked)."""
    found = []
    while True:
        method, properties, body = desk.channel.basic_get(KEYS[place], auto_ack=True)
        if method is None:
            return found
        found.append((body, DUPLICATE in (properties.headers or {})))


def bodies(found: list[tuple[bytes, bool]]) -> Counter[bytes]:
    """Count bodies."""
    return Counter(body for body, _ in found)


def marked(found: list[tuple[bytes, bool]]) -> Counter[bytes]:
    """Count bodies of what is marked."""
    return Counter(body for body, mark in found if mark)


def test_copies_in_the_live_queue_come_back_marked(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the batch had arrived: nothing of it stays in the live queue, and each copy says what it is."""
    desk.put(*MESSAGES)
    own = [b"a producer's %d" % number for number in range(5)]
    desk.put(*own, place=Place.LIVE)
    cut_off(desk, monkeypatch)
    undone = taken_back(desk)
    live, dlq = seen(desk, Place.LIVE), seen(desk, Place.DLQ)
    assert (bodies(live), marked(live)) == (Counter(own), Counter())
    assert bodies(dlq) == Counter(MESSAGES * 2)
    assert marked(dlq) == Counter(MESSAGES), "one of each pair says that it may be a copy"
    assert (undone.withdrawn, undone.out_of_reach, undone.maybe_duplicated) == (0, 0, len(MESSAGES))


def test_what_workers_took_of_the_batch_is_marked_where_it_lies(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message whose copy a worker may have done already stands in the DLQ, marked."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch)
    taken = desk.take(15)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    assert bodies(dlq) + Counter(taken) == Counter(MESSAGES * 2)
    assert marked(dlq) == Counter(MESSAGES)
    assert undone.maybe_duplicated == len(MESSAGES)


def test_what_never_left_is_marked_too(classic: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ended when the batch was noted: nobody can know that nothing was sent."""
    classic.put(*MESSAGES)
    with monkeypatch.context() as patched:
        patched.setattr(Flights, "send", _end)
        with pytest.raises(Ended):
            classic.run()
    leave(classic)
    undone = taken_back(classic)
    dlq = seen(classic, Place.DLQ)
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES), Counter(MESSAGES))
    assert undone.maybe_duplicated == len(MESSAGES)


def test_a_confirmed_batch_is_not_there_twice(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger has it, the broker had not heard that it is done with: the rollback says that first."""
    desk.put(*MESSAGES)
    with monkeypatch.context() as patched:
        patched.setattr("dlq.brokers.rabbit_reading.Pass.acknowledge", _end)
        with pytest.raises(Ended):
            desk.run()
    leave(desk)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES), Counter())
    assert (undone.withdrawn, undone.maybe_duplicated) == (len(MESSAGES), 0)


def test_what_was_recorded_goes_back_unmarked(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two waves are in the ledger, the third was cut off: only of that one there are marked copies."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch, waves=2)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES + MESSAGES[20:]), Counter(MESSAGES[20:]))
    assert (undone.withdrawn, undone.maybe_duplicated) == (20, 20)


def test_kept_messages_of_the_batch_are_marked_too(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A selective drain publishes what it keeps to the end of the DLQ: of those, too, one of a pair is marked."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch, selector=EMAIL)
    taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES * 2), Counter(MESSAGES))


def test_edited_copies_do_not_stay(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent edited is found by its new bytes."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch, selector=EMAIL, edit=Edit(set=("note=x",)))
    edited = [body for body, _ in seen_and_put_back(desk, Place.LIVE)]
    assert len(edited) == len(EMAILS)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    others = [message for message in MESSAGES if message not in EMAILS]
    assert bodies(dlq) == Counter(MESSAGES + edited + others)
    assert marked(dlq) == Counter(edited + others)
    assert undone.maybe_duplicated == len(MESSAGES)


def seen_and_put_back(desk: RabbitDesk, place: Place) -> list[tuple[bytes, bool]]:
    """Look at a place without taking."""
    other = desk.connect()
    found = [(body, False) for body in other.read(place, 0, 1_000).result()]
    other.close()
    return found


def test_copies_in_the_quarantine_come_back_marked(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarantine that was cut off leaves nothing there."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch, Kind.QUARANTINE)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.QUARANTINE) == []
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES * 2), Counter(MESSAGES))
    assert undone.maybe_duplicated == len(MESSAGES)


def test_what_was_to_be_dropped_is_not_marked(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a discard is sent anywhere, so there cannot be copies of what it drops."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch, Kind.DISCARD)
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES), Counter())
    assert undone.maybe_duplicated == 0


def test_a_resumed_run_leaves_no_copies_in_the_live_queue(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sent the cut-off batch once more, marked: its rollback finds both."""
    desk.put(*MESSAGES)
    cut_off(desk, monkeypatch)
    desk.queue = desk.connect()
    desk.run()
    assert desk.queue.depth(Place.LIVE) == 2 * len(MESSAGES)
    desk.queue.close()
    undone = taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert seen(desk, Place.LIVE) == []
    assert bodies(dlq) == Counter(MESSAGES * 2)
    assert set(marked(dlq)) == set(MESSAGES)
    assert undone.withdrawn == len(MESSAGES)


def broken_off(desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch, what: str, at: int = 1) -> None:
    """Begin to roll r1 back; the process ends at the `at`-th call of `what`."""
    desk.queue = desk.connect()
    owner, name = (Pass, what.removeprefix("Pass.")) if what.startswith("Pass.") else (RabbitQueue, what)
    original, calls = getattr(owner, name), 0

    def end(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= at:
            raise Ended
        return original(*args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, end)
        with pytest.raises(Ended):
            roll_back(desk.queue, CONFIG, "r1", "bo")
    leave(desk)


@pytest.mark.parametrize("what", ["_write", "Pass.acknowledge"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_rollback_that_breaks_off_is_gone_on_with(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch, what: str, at: int
) -> None:
    """It ends within one of its passes; the next one leaves nothing in the live queue and loses nothing."""
    others = [letter(number) for number in range(100, 110)]
    own = [b"a producer's %d" % number for number in range(5)]
    desk.put(*MESSAGES, *others)
    desk.put(*own, place=Place.LIVE)
    desk.run(limit=len(MESSAGES))
    desk.queue.close()
    broken_off(desk, monkeypatch, what, at)
    taken_back(desk)
    live, dlq = seen(desk, Place.LIVE), seen(desk, Place.DLQ)
    assert set(bodies(live)) == set(own)
    assert set(bodies(dlq)) == set(MESSAGES + others)
    assert bodies(live) - Counter(own) <= marked(live)
    assert bodies(dlq) - Counter(MESSAGES + others) <= marked(dlq)
    if (what, at) == ("Pass.acknowledge", 1) and desk.kind == "classic":
        assert (bodies(dlq), marked(dlq)) == (Counter(MESSAGES + others), Counter()), "it was in the ledger"


@pytest.mark.parametrize(("what", "looks"), [("_write", 0), ("finish", 0), ("finish", 2)])
def test_discarded_messages_come_back_once(
    desk: RabbitDesk, monkeypatch: pytest.MonkeyPatch, what: str, looks: int
) -> None:
    """The rollback of a discard ends when it has put them back: they stay, and what comes twice is marked."""
    desk.put(*MESSAGES)
    desk.run(Kind.DISCARD, selector=EMAIL)
    desk.queue.close()
    broken_off(desk, monkeypatch, what)
    for _ in range(looks):  # the broker then says of each message that it was delivered before
        desk.queue = desk.connect()
        desk.queue.read(Place.DLQ, 0, 1_000).result()
        desk.queue.close()
    taken_back(desk)
    dlq = seen(desk, Place.DLQ)
    assert set(bodies(dlq)) == set(MESSAGES)
    assert bodies(dlq) - Counter(MESSAGES) == marked(dlq) == (Counter(EMAILS) if what == "_write" else Counter())


def test_a_killed_command_is_rolled_back(classic: RabbitDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL at some moment of `dlq drain`, then `dlq rollback`: nothing stays in the live queue, and it is told."""
    monkeypatch.setenv("DLQ_BROKER_URL", classic.rabbit.url)
    monkeypatch.setenv("DLQ_REDIS_URL", classic.redis_url)
    monkeypatch.setenv("DLQ_LOCK_SECONDS", "5")
    messages = [letter(number, padding="x" * 2_000) for number in range(5_000)]
    classic.put(*messages)
    dlq = [sys.executable, "-m", "dlq"]
    words = ["drain", "webhooks", "--pace", "none", "--yes", "--settle", "0", "--override", "test"]
    drain = subprocess.Popen([*dlq, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while drain.poll() is None and not any(record.selected for record in classic.queue.runs(1)):
        time.sleep(0.01)
    os.kill(drain.pid, signal.SIGKILL)
    drain.wait()
    (record,) = classic.queue.runs(1)
    assert record.state == "running", "it was killed too late"
    done = None
    while done is None or "held by another run" in done.stderr:  # until the dead one's lock has run out
        time.sleep(0.5)
        done = subprocess.run([*dlq, "rollback", record.run_id, "--yes"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [*dlq, "show", record.run_id, "--json"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    told = json.loads(shown)
    live, dlq_now = seen(classic, Place.LIVE), seen(classic, Place.DLQ)
    assert live == []
    assert set(bodies(dlq_now)) == set(messages)
    assert bodies(dlq_now) - Counter(messages) <= marked(dlq_now)
    assert (told["rolled_back"], told["unexplained"]) == (told["selected"], 0)
    count = len([body for body, mark in dlq_now if mark])
    assert count == 0 or f"{count:,} messages were under way" in " ".join(done.stdout.split()), done.stdout
    assert count <= 9 * MAX_MESSAGES, "eight batches under way, and one that is noted"


def test_a_resumed_drain_misses_nothing_that_came_back_in_another_order(desk: RabbitDesk) -> None:
    """The dead process had kept messages in hand, too: a quorum queue gives them back among the others."""
    many = [letter(number) for number in range(400)]
    desk.put(*many)
    run = desk.start(selector=EMAIL)
    for number in (1, 2, 3, 4):
        run.wave(number, 20)
    leave(desk)
    desk.queue = desk.connect()
    record = desk.run(selector=EMAIL)
    desk.queue.close()
    emails = [message for message in many if is_of("email", message)]
    assert record.selected == len(emails)
    assert bodies(seen(desk, Place.LIVE)) == Counter(emails)
    assert bodies(seen(desk, Place.DLQ)) == Counter(many) - Counter(emails)
