"""A queue in a Redis Cluster: cut off at any command, with slots that move, with a goal that cannot take messages."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from dlq.brokers.base import Place, Ready
from dlq.brokers.cluster_crossing import Crossings, Leg
from dlq.brokers.cluster_wire import ClusterReply, ClusterWire
from dlq.brokers.opening import open_queue
from dlq.brokers.redis_address import Seeds
from dlq.brokers.redis_cluster import RedisClusterQueue
from dlq.brokers.redis_list import RedisListQueue
from dlq.config.settings import load_settings
from dlq.engine.discard import discard
from dlq.engine.restore import restore
from dlq.engine.rollback import roll_back
from dlq.engine.run import Kind, Request, start
from dlq.errors import BrokerBusyError, BrokerUnreachableError, WrongKeyTypeError
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from tests.clusters import TestCluster
from tests.integration.conformance import CONFIG, KEYS, ClusterDesk, is_of, letter

LETTERS = [letter(number) for number in range(12)]
EMAILS = [message for message in LETTERS if is_of("email", message)]
WEBHOOKS = [message for message in LETTERS if is_of("webhook", message)]
JOBS = {
    "drain": Request(Kind.DRAIN, "ada"),
    "selective": Request(Kind.DRAIN, "ada", selector=Selector(types=("email",))),
    "edit": Request(Kind.DRAIN, "ada", edit=Edit(set=("retryCount=0",))),
    "quarantine": Request(Kind.QUARANTINE, "ada", selector=Selector(types=("email",))),
}


class Cut(Exception):  # noqa: N818 - it is not an error of the program
    """The process ends here."""


class CutWire(ClusterWire):
    """Ends the process at command number `last`: before it is sent, or when its answer would have come."""

    def __init__(self, seeds: Seeds, last: int, *, lost_reply: bool) -> None:
        super().__init__(seeds)
        self.left = last
        self.lost_reply = lost_reply

    def _send(self, command: Any) -> ClusterReply[Any]:
        self.left -= 1
        if self.left == 0 and self.lost_reply:
            super()._send(command).result()
        if self.left <= 0:
            raise Cut
        return super()._send(command)


@pytest.fixture
def desk(redis_cluster: TestCluster) -> Iterator[ClusterDesk]:
    """Give an empty queue whose lists lie in three slots."""
    redis_cluster.flush()
    desk = ClusterDesk(redis_cluster)
    assert len({key_slot(key.encode()) for key in KEYS.values()}) == 3
    yield desk
    desk.close()


def drain_in_waves(queue: RedisClusterQueue, request: Request) -> None:
    """Do a run of waves of four, or go on with it."""
    run = start(queue, CONFIG, request, "r1")
    number = max(1, run.record.wave)
    while not run.wave(number, 4).ended:
        number += 1
    run.finish()


def cut_off(desk: ClusterDesk, last: int, work: Any, *, lost_reply: bool) -> bool:
    """Work on a connection that is cut; say whether it was. What is cut does not tidy up."""
    wire = CutWire(Seeds.of(desk.url), last, lost_reply=lost_reply)
    try:
        work(RedisClusterQueue(CONFIG, wire))
    except Cut:
        return True
    finally:
        wire.left = 1_000_000
        wire.close()
    return False


@pytest.mark.parametrize("lost_reply", [False, True], ids=["before", "reply lost"])
@pytest.mark.parametrize("name", JOBS)
def test_a_run_cut_off_at_any_command_is_finished_by_the_next(
    desk: ClusterDesk, name: str, *, lost_reply: bool
) -> None:
    """Whichever command was the last of the first process: each message is where it belongs, once, in its order."""
    request, last, cut = JOBS[name], 0, True
    while cut:
        last += 1
        desk.client.flushall(target_nodes="primaries")
        desk.put(*LETTERS)
        cut = cut_off(desk, last, lambda queue: drain_in_waves(queue, request), lost_reply=lost_reply)
        record = desk.queue.run("r1")
        if record is None or record.state != "done":
            drain_in_waves(desk.queue, request)  # type: ignore[arg-type]
        moved = LETTERS if name in {"drain", "edit"} else EMAILS
        place = Place.QUARANTINE if name == "quarantine" else Place.LIVE
        found = desk.show(place)
        if name == "edit":
            assert [json.loads(message)["id"] for message in found] == [json.loads(m)["id"] for m in moved], last
        else:
            assert found == moved, last
        assert desk.show() == [message for message in LETTERS if message not in moved], last
        assert left_over(desk) == [], last
        assert desk.outcome().unexplained == 0
    assert last > 20


@pytest.mark.parametrize("lost_reply", [False, True], ids=["before", "reply lost"])
@pytest.mark.parametrize("name", ["drain", "edit", "quarantine"])
def test_a_rollback_cut_off_at_any_command_is_finished_by_the_next(
    desk: ClusterDesk, name: str, *, lost_reply: bool
) -> None:
    """What the run moved is back in the DLQ with its bytes, and a producer's messages stay in the live queue."""
    others, last, cut = [letter(900), letter(901)], 0, True
    while cut:
        last += 1
        desk.client.flushall(target_nodes="primaries")
        desk.put(*LETTERS)
        desk.put(others[0], place=Place.LIVE)
        drain_in_waves(desk.queue, JOBS[name])  # type: ignore[arg-type]
        desk.put(others[1], place=Place.LIVE)
        cut = cut_off(desk, last, lambda queue: roll_back(queue, CONFIG, "r1", "ada"), lost_reply=lost_reply)
        desk.client.delete(f"dlq-drain:{{{CONFIG.dlq}}}:lock")  # as if it had expired
        if cut:
            roll_back(desk.queue, CONFIG, "r1", "ada")
        assert Counter(desk.show()) == Counter(LETTERS), last
        assert desk.show(Place.LIVE) == others, last
        assert desk.show(Place.QUARANTINE) == [], last
        assert left_over(desk) == [], last
        outcome = desk.outcome()
        assert (outcome.rolled_back, outcome.unexplained) == (outcome.selected, 0), last
    assert last > 20


@pytest.mark.parametrize("lost_reply", [False, True], ids=["before", "reply lost"])
@pytest.mark.parametrize("ledger", ["there", "gone"])
def test_a_discard_and_its_restore_cut_off_at_any_command(
    desk: ClusterDesk, tmp_path: Path, ledger: str, *, lost_reply: bool
) -> None:
    """What was dropped comes back once, out of the ledger or out of the archive, whichever command was the last."""
    request = JOBS["selective"]
    discarding = replace(request, kind=Kind.DISCARD)

    for work in ("discard", "restore"):
        last, cut = 0, True
        while cut:
            last += 1
            place = f"{tmp_path}/{work}-{last}"
            desk.client.flushall(target_nodes="primaries")
            desk.put(*LETTERS)
            if work == "discard":
                cut = cut_off(
                    desk, last, lambda q, p=place: discard(q, CONFIG, discarding, "d1", p), lost_reply=lost_reply
                )
            written, record = discard(desk.queue, CONFIG, discarding, "d1", place)
            assert (written.messages, record.dropped) == (6, 6), last
            assert desk.show() == WEBHOOKS, last
            if ledger == "gone":
                forget_run(desk, "d1")
            if work == "restore":
                cut = cut_off(
                    desk, last, lambda q, w=written: restore(q, CONFIG, w.address, "ada"), lost_reply=lost_reply
                )
            for _ in range(2):
                desk.client.delete(f"dlq-drain:{{{CONFIG.dlq}}}:lock")  # as if it had expired
                restore(desk.queue, CONFIG, written.address, "ada")
            assert Counter(desk.show()) == Counter(LETTERS), (work, last)
            assert left_over(desk) == [], (work, last)
        assert last > 10


def forget_run(desk: ClusterDesk, name: str) -> None:
    """Forget a run, as the ledger does after its days."""
    for node in desk.client.get_primaries():
        for key in node.redis_connection.keys(f"dlq-drain:*:run:{name}*"):
            desk.client.delete(key)


@pytest.mark.parametrize("place", list(Place))
def test_slots_may_move_while_a_run_works(desk: ClusterDesk, redis_cluster: TestCluster, place: Place) -> None:
    """The slot of one of the lists is moved from master to master, key by key, all the time."""
    many = [letter(number) for number in range(3_000)]
    desk.put(*many)
    slot, stopped = key_slot(KEYS[place].encode()), threading.Event()

    def move() -> None:
        while not stopped.wait(0.01):
            there = redis_cluster.owner(slot)
            redis_cluster.move_slot(slot, next(node for node in redis_cluster.masters() if node.port != there.port))

    mover = threading.Thread(target=move)
    mover.start()
    try:
        kind = Kind.QUARANTINE if place is Place.QUARANTINE else Kind.DRAIN
        run = start(desk.queue, CONFIG, Request(kind, "ada"), "r1")
        number = 1
        while not run.wave(number, 60).ended:
            number += 1
        run.finish()
        moved = desk.show(Place.QUARANTINE if kind is Kind.QUARANTINE else Place.LIVE)
        assert moved == many
        assert roll_back(desk.queue, CONFIG, "r1", "ada").withdrawn == len(many)
    finally:
        stopped.set()
        mover.join()
    assert desk.show() == many
    assert left_over(desk) == []


def test_a_slot_that_is_left_on_two_nodes_is_told(
    desk: ClusterDesk, redis_cluster: TestCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resharding that broke off: the error says what the matter is; when it is mended the run goes on."""
    monkeypatch.setattr("dlq.brokers.cluster_wire._HOPS", 3)
    desk.put(*LETTERS)
    run = start(desk.queue, CONFIG, JOBS["drain"], "r1")
    run.wave(1, 4)
    slot = key_slot(CONFIG.dlq.encode())
    home = redis_cluster.owner(slot)
    there = next(node for node in redis_cluster.masters() if node is not home)

    def broken_off() -> None:
        raise Cut

    with pytest.raises(Cut):
        redis_cluster.move_slot(slot, there, broken_off)
    with pytest.raises(BrokerBusyError, match="--cluster fix"):
        run.wave(2, 4)
    desk.queue.close()
    redis_cluster.move_slot(slot, there)
    drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    assert desk.show(Place.LIVE) == LETTERS
    assert left_over(desk) == []


def test_a_goal_of_another_type_is_refused_before_anything_moves(desk: ClusterDesk) -> None:
    """The live key is a stranger: nothing leaves the DLQ."""
    desk.put(*LETTERS)
    desk.client.set(CONFIG.live, "stranger")
    with pytest.raises(WrongKeyTypeError, match=CONFIG.live):
        drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    assert desk.show() == LETTERS
    assert left_over(desk) == []


def test_a_goal_that_becomes_a_stranger_midway_costs_nothing(desk: ClusterDesk) -> None:
    """The batch that had left the DLQ waits beside it, and arrives once when the key has been repaired."""
    desk.put(*LETTERS)
    through = desk.queue._insist_on_lists  # type: ignore[union-attr]

    def insist(goals: tuple[Place, ...]) -> None:
        through(goals)
        desk.client.set(CONFIG.live, "stranger", nx=True)

    desk.queue._insist_on_lists = insist  # type: ignore[union-attr,method-assign]
    with pytest.raises(WrongKeyTypeError, match="delivered once"):
        drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    assert len(left_over(desk)) == 2  # the list, and the note of it
    assert len(desk.show()) == len(LETTERS) - 4
    with pytest.raises(WrongKeyTypeError):
        drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    desk.queue._insist_on_lists = through  # type: ignore[union-attr,method-assign]
    desk.client.delete(CONFIG.live)
    drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    assert desk.show(Place.LIVE) == LETTERS
    assert left_over(desk) == []


def test_a_read_that_saw_nothing_of_its_batch_is_made_again(desk: ClusterDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was answered by the old node while the first step was sent again to the new one."""
    desk.put(*LETTERS)
    through, missed = Crossings.read, []

    def read(crossings: Crossings, leg: Leg) -> dict[Place, Any]:
        if leg.name in missed:
            return through(crossings, leg)
        missed.append(leg.name)
        return {goal: Ready([]) for goal in leg.goals}

    monkeypatch.setattr(Crossings, "read", read)
    drain_in_waves(desk.queue, JOBS["drain"])  # type: ignore[arg-type]
    assert desk.show(Place.LIVE) == LETTERS
    assert len(missed) == 3
    assert left_over(desk) == []


def test_one_slot_for_all_lists_needs_one_step_only(
    redis_cluster: TestCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hash tag in the names the queue works as it does on one Redis."""
    redis_cluster.flush()
    monkeypatch.setenv("DLQ_REDIS_URL", redis_cluster.url)
    for prefix, kind in (("{tokpulse}", RedisListQueue), ("tokpulse", RedisClusterQueue)):
        monkeypatch.setenv("DLQ_PREFIX", prefix)
        with open_queue(load_settings(), "webhooks") as (queue, config):
            assert type(queue) is kind
            run = start(queue, config, Request(Kind.DRAIN, "ada"), "r1")
            run.wave(1)
            assert run.finish().state == "done"


def test_the_command_drains_and_rolls_back_in_a_cluster(desk: ClusterDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same journey as on one Redis, by the address alone."""
    monkeypatch.setenv("DLQ_REDIS_URL", desk.url)
    desk.put(*LETTERS)

    def dlq(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "dlq", *words, "--json"], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout.splitlines()[-1])

    drained = dlq("drain", "webhooks", "--type", "email", "--pace", "none", "--yes", "--settle", "0")
    assert (drained["selected"], drained["pending"], drained["unexplained"]) == (6, 6, 0)
    assert desk.show(Place.LIVE) == EMAILS
    undone = dlq("rollback", drained["run_id"], "--yes")
    assert undone["rolled_back"] == 6
    assert Counter(desk.show()) == Counter(LETTERS)


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what to check, and no password."""
    monkeypatch.setenv("DLQ_REDIS_URL", "redis-cluster://:hunter2@127.0.0.1:1,127.0.0.1:2")
    with open_queue(load_settings(), "webhooks") as (queue, _), pytest.raises(BrokerUnreachableError) as told:
        queue.depth(Place.DLQ)
    assert "hunter2" not in str(told.value)


def left_over(desk: ClusterDesk) -> list[bytes]:
    """List the transit lists, and the notes of them, that should be gone."""
    names = [
        name for node in desk.client.get_primaries() for name in node.redis_connection.keys("dlq-drain:*:transit*")
    ]
    return sorted(name for name in names if b":transits" not in name or desk.client.scard(name))
