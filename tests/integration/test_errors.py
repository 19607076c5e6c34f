"""What goes wrong on a real server ends with a named error, with both lists whole."""

from collections.abc import Iterator

import pytest
import redis

from dlq.brokers.base import Batch, Hold, Pending, Place, Receipt, Route
from dlq.brokers.redis_list import RedisListQueue
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine.run import Kind, Request, Run, resume, start
from dlq.errors import (
    AuthError,
    BrokerError,
    BrokerMemoryError,
    BrokerUnreachableError,
    DlqError,
    ReadOnlyReplicaError,
    WrongKeyTypeError,
)
from dlq.messages.selectors import Selector
from dlq.pacing.drive import drive
from dlq.pacing.pace import Pace
from tests.integration.conformance import CONFIG, KEYS, RedisDesk, letter
from tests.servers import ServerFactory

LETTERS = [letter(number) for number in range(60)]
UNPACED = Pace.unpaced()


@pytest.fixture
def desk(server: EmbeddedRedis) -> Iterator[RedisDesk]:
    """Give a queue with 60 dead letters."""
    desk = RedisDesk(server.url)
    desk.put(*LETTERS)
    yield desk
    desk.close()


def driven(queue: RedisListQueue, request: Request, naps: list[float] | None = None) -> None:
    """Drive run r1 to its end, without waiting."""
    naps = [] if naps is None else naps
    drive(lambda: start(queue, CONFIG, request, "r1"), UNPACED, naps.append, lambda _run, _wave: None)


@pytest.mark.parametrize(
    ("kind", "place"), [(Kind.DRAIN, Place.LIVE), (Kind.QUARANTINE, Place.QUARANTINE), (Kind.DRAIN, Place.DLQ)]
)
def test_a_key_of_another_type_moves_nothing(desk: RedisDesk, kind: Kind, place: Place) -> None:
    """The error names the key; the lists and the stranger stay; the ledger has no message."""
    if place is Place.DLQ:
        desk.client.delete(CONFIG.dlq)
    desk.client.hset(KEYS[place], "a", "stranger")
    with pytest.raises(WrongKeyTypeError, match=KEYS[place]) as raised:
        driven(desk.queue, Request(kind, "ada"))  # type: ignore[arg-type]
    assert raised.value.exit_status == 1
    assert desk.client.hgetall(KEYS[place]) == {b"a": b"stranger"}
    if place is not Place.DLQ:
        assert desk.show() == LETTERS
        assert list(desk.queue.batches("r1")) == []


def test_a_run_that_could_not_begin_leaves_no_lock(desk: RedisDesk) -> None:
    """Somebody repairs the key and starts again at once: nobody is in the way."""
    desk.client.delete(CONFIG.dlq)
    desk.client.set(CONFIG.dlq, "stranger")
    with pytest.raises(WrongKeyTypeError):
        driven(desk.queue, Request(Kind.DRAIN, "ada"))  # type: ignore[arg-type]
    assert desk.queue.holder() is None


def test_a_stopped_run_gives_the_queue_back_and_can_be_resumed(desk: RedisDesk) -> None:
    """The key is repaired: the same run goes on, each message once."""
    desk.client.set(CONFIG.live, "stranger")
    with pytest.raises(WrongKeyTypeError):
        driven(desk.queue, Request(Kind.DRAIN, "ada"))  # type: ignore[arg-type]
    record = desk.queue.run("r1")
    assert record is not None
    assert (record.state, desk.queue.holder()) == ("stopped", None)
    desk.client.delete(CONFIG.live)
    run = resume(desk.queue, CONFIG, "r1", "bob")
    run.wave(1)
    assert run.finish().redriven == 60
    assert desk.show(Place.LIVE) == LETTERS


class Torn(RedisListQueue):
    """A queue whose connection breaks once, right after a batch was sent."""

    breaks = 1

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Send, and lose the answer the second time."""
        reply = super().commit(hold, route, batch)
        if batch.sequence == 2 and self.breaks:
            self.breaks = 0
            reply.result()
            self.close()
            raise BrokerUnreachableError
        return reply


@pytest.mark.parametrize("wave", [7, 10])
def test_an_answer_that_was_lost_costs_and_doubles_nothing(desk: RedisDesk, wave: int) -> None:
    """The batch was done, its answer was not heard: the run goes on behind it, with all counts."""
    queue = Torn(CONFIG, desk.url)
    request = Request(Kind.DRAIN, "ada", selector=Selector(types=("email",)))
    pace, naps = Pace(batch=wave, pause=0, max_batches=0), list[float]()
    record = drive(lambda: start(queue, CONFIG, request, "r1"), pace, naps.append, lambda _run, _wave: None)
    queue.close()
    assert naps == [0.5]
    assert (record.redriven, record.kept, record.state) == (30, 30, "done")
    assert desk.show(Place.LIVE) == LETTERS[1::2]
    assert desk.show() == LETTERS[::2]


def test_any_error_in_the_middle_leaves_a_run_to_resume(desk: RedisDesk) -> None:
    """The ledger knows where it stopped; the rest follows in order and kept messages are in theirs."""

    def fail(_run: Run, _wave: object) -> None:
        raise DlqError("the light went out")

    request = Request(Kind.DRAIN, "ada", selector=Selector(types=("email",)))
    with pytest.raises(DlqError, match="light"):
        drive(lambda: start(desk.queue, CONFIG, request, "r1"), Pace(batch=8), list[float]().append, fail)
    run = resume(desk.queue, CONFIG, "r1", "bob")
    assert run.wave(2).ended
    assert run.finish().redriven == 30
    assert desk.show(Place.LIVE) == LETTERS[1::2]
    assert desk.show() == LETTERS[::2]


def test_a_read_only_replica_is_named(private_server: ServerFactory) -> None:
    """Nothing can be locked there, and the advice is to use the primary."""
    primary = private_server(repl_diskless_sync_delay=0)
    replica = private_server(replicaof=f"127.0.0.1 {primary.port}")
    with redis.Redis.from_url(primary.url) as client, redis.Redis.from_url(replica.url) as copy:
        client.lpush(CONFIG.dlq, *LETTERS)
        client.wait(1, 10_000)
        queue = RedisListQueue(CONFIG, replica.url)
        with pytest.raises(ReadOnlyReplicaError, match="primary"):
            driven(queue, Request(Kind.DRAIN, "ada"))
        queue.close()
        assert copy.lrange(CONFIG.dlq, 0, -1)[::-1] == LETTERS


def test_a_wrong_password_is_named_and_never_shown(private_server: ServerFactory) -> None:
    """Neither the given nor the right password is in the message; a missing one is the same error."""
    server = private_server(requirepass="right-horse")
    for login in (":wrong-battery@", ""):
        queue = RedisListQueue(CONFIG, f"redis://{login}127.0.0.1:{server.port}/0")
        with pytest.raises(AuthError, match="password in DLQ_REDIS_URL") as raised:
            driven(queue, Request(Kind.DRAIN, "ada"))
        queue.close()
        assert "horse" not in str(raised.value)
        assert "battery" not in str(raised.value)


def test_a_full_server_refuses_the_batch_whole(private_server: ServerFactory) -> None:
    """The server reaches its maxmemory in the middle: the batch is not done; with room again the run goes on."""
    server = private_server(maxmemory_policy="noeviction")
    desk = RedisDesk(server.url)
    desk.put(*LETTERS)
    run = desk.start()
    run.wave(1, 20)
    desk.client.config_set("maxmemory", "1mb")
    with pytest.raises(BrokerMemoryError, match="maxmemory"):
        run.wave(2, 20)
    assert desk.show(Place.LIVE) == LETTERS[:20]
    assert desk.show() == LETTERS[20:]
    desk.client.config_set("maxmemory", 0)
    go_on = resume(desk.connect(), CONFIG, "r1", "bob", take_over=True)
    go_on.wave(2)
    assert go_on.finish().redriven == 60
    assert desk.show(Place.LIVE) == LETTERS
    desk.close()


def test_a_server_that_is_gone_is_tried_six_times(private_server: ServerFactory) -> None:
    """The waits double, then the error says where to look; with the server back the run is resumed."""
    server = private_server(appendonly="yes", appendfsync="always")
    desk = RedisDesk(server.url)
    desk.put(*LETTERS)
    run = desk.start()
    run.wave(1, 20)
    server.kill()
    naps: list[float] = []
    with pytest.raises(BrokerUnreachableError, match="DLQ_REDIS_URL"):
        driven(desk.queue, Request(Kind.DRAIN, "ada"), naps)  # type: ignore[arg-type]
    assert naps == [0.5, 1.0, 2.0, 4.0, 8.0]
    server.restart()
    go_on = resume(desk.connect(), CONFIG, "r1", "bob", take_over=True)
    go_on.wave(2)
    assert go_on.finish().redriven == 60
    assert desk.show(Place.LIVE) == LETTERS
    desk.close()


def test_a_server_that_forgot_its_scripts_is_told_again(desk: RedisDesk) -> None:
    """SCRIPT FLUSH between two batches costs one new connection at the most."""
    run = desk.start()
    run.wave(1, 20)
    desk.client.script_flush()
    with pytest.raises(BrokerError):
        run.wave(2, 20)
    driven(desk.queue, Request(Kind.DRAIN, "ada"))  # type: ignore[arg-type]
    assert desk.show(Place.LIVE) == LETTERS


@pytest.mark.parametrize("command", ["ltrim", "lpush", "hincrby", "pexpire", "hset"])
def test_a_user_who_lacks_one_command_doubles_nothing(desk: RedisDesk, command: str) -> None:
    """Who may push but not trim, say, is refused before a message moves; with the right given back the run goes on."""
    desk.client.execute_command("ACL", "SETUSER", "half", "reset", "on", ">sesame", "~*", "+@all", f"-{command}")
    queue = RedisListQueue(CONFIG, desk.url.replace("redis://", "redis://half:sesame@"))
    with pytest.raises(AuthError):
        driven(queue, Request(Kind.DRAIN, "ada", limit=30))
    assert desk.show() == LETTERS
    assert desk.show(Place.LIVE) == []
    desk.client.execute_command("ACL", "SETUSER", "half", "+@all")
    desk.client.delete(f"dlq-drain:{{{CONFIG.dlq}}}:lock")
    driven(queue, Request(Kind.DRAIN, "ada", limit=30))
    queue.close()
    assert desk.show(Place.LIVE) == LETTERS[:30]
    assert desk.show() == LETTERS[30:]
    assert [len(batch) for batch in desk.queue.batches("r1")] == [30]
    desk.client.execute_command("ACL", "DELUSER", "half")


class Shaky(RedisListQueue):
    """A queue whose connection breaks after every third batch."""

    def commit(self, hold: Hold, route: Route, batch: Batch) -> Pending[Receipt]:
        """Send, and lose the answer now and then."""
        reply = super().commit(hold, route, batch)
        if batch.sequence % 3 == 0:
            reply.result()
            self.close()
            raise BrokerUnreachableError
        return reply


def test_connections_that_are_lost_now_and_then_do_not_end_a_long_drain(desk: RedisDesk) -> None:
    """Only six in a row do: ten that were lost with waves in between are no reason to give up."""
    queue, naps = Shaky(CONFIG, desk.url), list[float]()
    pace = Pace(batch=2, pause=0, max_batches=0)
    drive(lambda: start(queue, CONFIG, Request(Kind.DRAIN, "ada"), "r1"), pace, naps.append, lambda _run, _wave: None)
    queue.close()
    assert naps == [0.5] * 10
    assert desk.show(Place.LIVE) == LETTERS


def test_a_clock_that_is_put_back_does_not_hold_a_drain_up(desk: RedisDesk) -> None:
    """An hour back during a pause: the pause is waited for, not the hour."""
    now, naps = [1_000_000.0], list[float]()

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds - (3_600 if len(naps) == 1 else 0)

    drive(
        lambda: start(desk.queue, CONFIG, Request(Kind.DRAIN, "ada"), "r1"),  # type: ignore[arg-type]
        Pace(batch=30, pause=10, max_batches=0),
        sleep,
        lambda _run, _wave: None,
        clock=lambda: now[0],
    )
    assert sum(naps) <= 20
    assert desk.show(Place.LIVE) == LETTERS
