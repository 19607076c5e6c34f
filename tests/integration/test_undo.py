"""What a rollback takes back, and what it leaves alone, on real servers."""

import json
from collections.abc import Iterator

import pytest
import redis

from dlq.brokers.redis_list import RedisListQueue
from dlq.config.settings import QueueConfig
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.rollback import Undone, roll_back
from dlq.engine.run import Kind, Request, start
from dlq.engine.verify import Outcome, verify
from dlq.messages.edits import Edit
from dlq.messages.reading import Reading
from dlq.messages.selectors import Selector
from dlq.pacing.pace import Pace

CONFIG = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
TWIN = b'{"type":"webhook","id":"twin"}'


def letter(number: int, **more: object) -> bytes:
    """Make a dead letter."""
    return json.dumps(
        {"type": ("webhook", "email")[number % 2], "id": f"e{number}", "retryCount": number % 5, **more}
    ).encode()


LETTERS = [letter(number) for number in range(60)]


class Desk:
    """A queue with its lists at hand."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.queue = RedisListQueue(CONFIG, url)

    def put(self, *messages: bytes, key: str = CONFIG.dlq) -> None:
        """Push messages, the oldest first."""
        self.client.lpush(key, *messages)

    def oldest_first(self, key: str = CONFIG.dlq) -> list[bytes]:
        """Show a list in the order in which it is consumed."""
        return self.client.lrange(key, 0, -1)[::-1]

    def run(self, kind: Kind = Kind.DRAIN, name: str = "r1", **request: object) -> None:
        """Do a run to its end."""
        pace = Pace.unpaced().as_parameters()
        run = start(self.queue, CONFIG, Request(kind, "ada", pace=pace, **request), name)  # type: ignore[arg-type]
        assert run.wave(1).ended
        run.finish()

    def undo(self, name: str = "r1") -> Undone:
        """Roll a run back."""
        return roll_back(self.queue, CONFIG, name, "ada")

    def outcome(self, name: str = "r1") -> Outcome:
        """Verify a run."""
        return verify(self.queue, name, Reading.of(CONFIG))


@pytest.fixture
def desk(server: EmbeddedRedis) -> Iterator[Desk]:
    """Give a queue whose DLQ has 60 letters of two types."""
    desk = Desk(server.url)
    desk.put(*LETTERS)
    yield desk
    desk.queue.close()
    desk.client.close()


def test_everything_comes_back_in_its_old_order(desk: Desk) -> None:
    """A whole drain undone leaves the DLQ as it was, in front of what arrived later."""
    desk.run()
    desk.put(letter(99))
    assert desk.undo().withdrawn == 60
    assert desk.oldest_first() == [*LETTERS, letter(99)]
    assert desk.oldest_first(CONFIG.live) == []
    assert desk.outcome().rolled_back == 60
    assert desk.outcome().unexplained == 0


def test_strangers_in_the_live_queue_stay_where_they_are(desk: Desk) -> None:
    """Messages of producers, before and after ours, keep their order and number."""
    before, after = [letter(n) for n in range(100, 110)], [letter(n) for n in range(110, 120)]
    desk.put(*before, key=CONFIG.live)
    desk.run()
    desk.put(*after, key=CONFIG.live)
    desk.undo()
    assert desk.oldest_first(CONFIG.live) == [*before, *after]


def test_of_two_twins_one_is_ours(desk: Desk) -> None:
    """A producer's message with the very bytes of ours stays; ours goes back."""
    desk.put(TWIN)
    desk.run()
    desk.put(TWIN, key=CONFIG.live)
    assert desk.undo().withdrawn == 61
    assert desk.oldest_first(CONFIG.live) == [TWIN]
    assert desk.oldest_first().count(TWIN) == 1


def test_what_workers_took_is_out_of_reach(desk: Desk) -> None:
    """Half was consumed: the other half comes back, and the report says so."""
    desk.run()
    taken = desk.client.rpop(CONFIG.live, 25)
    undone = desk.undo()
    assert (undone.withdrawn, undone.out_of_reach) == (35, 25)
    assert taken == LETTERS[:25]
    assert desk.oldest_first() == LETTERS[25:]
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.rolled_back, outcome.unexplained) == (25, 35, 0)


def test_edited_messages_get_their_original_bytes(desk: Desk) -> None:
    """Two originals that one edit made the same both come back, each with its own bytes."""
    same = [b'{"type":"webhook","id":"s","retryCount":3}', b'{"type":"webhook","id":"s","retryCount":7}']
    desk.put(*same)
    desk.run(edit=Edit(set=("retryCount=0",)))
    assert all(json.loads(message)["retryCount"] == 0 for message in desk.oldest_first(CONFIG.live))
    desk.undo()
    assert sorted(desk.oldest_first()) == sorted([*LETTERS, *same])


@pytest.mark.parametrize("kind", [Kind.QUARANTINE, Kind.DISCARD])
def test_quarantine_and_discard_are_undone(desk: Desk, kind: Kind) -> None:
    """What was put aside or dropped comes back once, however often the rollback is asked for."""
    desk.run(kind, selector=Selector(types=("email",)))
    assert len(desk.oldest_first()) == 30
    assert desk.undo().withdrawn == 30
    assert desk.undo().withdrawn == 0
    assert sorted(desk.oldest_first()) == sorted(LETTERS)
    assert desk.client.llen(CONFIG.quarantine) == 0
    assert desk.outcome().unexplained == 0


def test_a_second_rollback_finds_nothing(desk: Desk) -> None:
    """The ledger knows what is back already."""
    desk.run()
    desk.undo()
    assert desk.undo().withdrawn == 0
    assert desk.oldest_first() == LETTERS


def test_what_a_later_run_redrove_is_that_runs(desk: Desk) -> None:
    """All came back unchanged and was redriven by a second run: the first run has nothing to withdraw."""
    desk.run(name="r1")
    while desk.client.lmove(CONFIG.live, CONFIG.dlq, "RIGHT", "LEFT"):
        pass
    desk.run(name="r2")
    undone = desk.undo("r1")
    assert (undone.withdrawn, undone.again) == (0, 60)
    assert desk.undo("r2").withdrawn == 60


def test_an_unselected_twin_is_no_bounce(desk: Desk) -> None:
    """A message with the identity of a redriven one that was in the DLQ before is not counted as come back."""
    desk.put(b'{"type":"webhook","id":"e0","retryCount":0,"keep":true}')
    desk.run(selector=Selector(types=("webhook",), where=("keep!=true",)))
    desk.client.delete(CONFIG.live)  # workers took them all
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.bounced) == (30, 0)


def test_a_refailed_message_is_a_bounce(desk: Desk) -> None:
    """Other attempts, times and errors do not hide it."""
    desk.run()
    desk.client.delete(CONFIG.live)
    desk.put(letter(0, retryCount=9, error="ValueError: new", failedAt="2026-11-24T00:00:00Z"))
    outcome = desk.outcome()
    assert (outcome.delivered, outcome.bounced, outcome.unexplained) == (59, 1, 0)


def test_the_ledger_is_small_and_expires(desk: Desk) -> None:
    """At most 24 bytes a message at 1,000 a batch, and every key but the fence has an expiry."""
    desk.put(*(letter(number) for number in range(100, 5_000)))
    desk.run()
    keys = desk.client.keys("dlq-drain:*")
    size = desk.client.memory_usage("dlq-drain:{tokpulse:dlq:webhooks}:run:r1:batches", samples=0)
    assert size <= 24 * 4_960
    assert [key for key in keys if desk.client.pttl(key) < 0] == [b"dlq-drain:{tokpulse:dlq:webhooks}:fence"]
