"""What every adapter has to do, the same on real servers and in memory."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dlq.brokers.base import Place
from dlq.engine.run import Kind
from dlq.messages.edits import Edit
from dlq.messages.selectors import Selector
from tests.integration.conformance import ADAPTERS, Desk, batch_of, commit, is_of, letter, only, open_desk

LETTERS = [letter(number, padding="x" * (number % 300)) for number in range(230)]
WEBHOOKS, EMAILS = ([message for message in LETTERS if is_of(kind, message)] for kind in ("webhook", "email"))
EMAIL = Selector(types=("email",))
ODD = [b"", b"\x00\xff\xfe", b"\r\n$-1\r\n", b'{"type":"a", "id": 1}', b'{"type":"a","id":1}', "\u00e9".encode(), b" "]


@pytest.fixture(params=ADAPTERS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give an empty queue on each adapter and each server."""
    desk = open_desk(request.param, request)
    yield desk
    desk.close()


def test_messages_move_byte_for_byte(desk: Desk) -> None:
    """Empty, binary and almost equal messages arrive as they were, in the order in which they failed."""
    desk.put(*ODD, letter(1))
    desk.run(selector=Selector(corrupted=None))
    assert desk.show(Place.LIVE) == [*ODD, letter(1)]
    assert desk.show() == []


@pytest.mark.parametrize("wave", [None, 1000, 100, 7])
def test_the_live_queue_gets_the_oldest_first(desk: Desk, wave: int | None) -> None:
    """However small the waves are, what was pushed first is consumed first, after what waited there before."""
    desk.put(letter(999), place=Place.LIVE)
    desk.put(*LETTERS)
    desk.run(wave=wave)
    assert desk.show(Place.LIVE) == [letter(999), *LETTERS]


@pytest.mark.parametrize("wave", [None, 50, 7, 1])
@pytest.mark.parametrize("limit", [None, 1, 60, 115, 500])
def test_kept_messages_keep_their_order(desk: Desk, wave: int | None, limit: int | None) -> None:
    """With and without a limit, in one wave or in several, the DLQ reads on as before without the selected."""
    desk.put(*LETTERS)
    record = desk.run(selector=EMAIL, wave=wave, limit=limit)
    taken = EMAILS[: limit or len(EMAILS)]
    assert desk.show(Place.LIVE) == taken
    assert desk.show() == [message for message in LETTERS if message not in taken]
    assert record.selected == len(taken)


def test_arrivals_during_a_run_are_never_selected(desk: Desk) -> None:
    """What fails while the run goes on stays behind the kept ones, whichever wave it meets."""
    desk.put(*LETTERS)
    run = desk.start(selector=EMAIL)
    arrivals = [letter(number) for number in range(1_001, 1_009)]
    for number, arrival in enumerate(arrivals, 1):
        run.wave(number, 20)
        desk.put(arrival)
    run.finish()
    assert desk.show(Place.LIVE) == EMAILS
    assert sorted(desk.show()) == sorted([*WEBHOOKS, *arrivals])
    assert [message for message in desk.show() if message in WEBHOOKS] == WEBHOOKS
    assert [message for message in desk.show() if message in arrivals] == arrivals


def test_the_messages_of_each_kind_of_run_end_where_they_should(desk: Desk) -> None:
    """A quarantine moves aside, a discard leaves nothing, and both leave the live queue alone."""
    desk.put(*LETTERS)
    put_aside = desk.run(Kind.QUARANTINE, "q1", selector=EMAIL, limit=10)
    dropped = desk.run(Kind.DISCARD, "d1", selector=EMAIL, limit=10)
    assert (put_aside.quarantined, dropped.dropped) == (10, 10)
    assert desk.show(Place.QUARANTINE) == EMAILS[:10]
    assert desk.show(Place.LIVE) == []
    assert desk.show() == [message for message in LETTERS if message not in EMAILS[:20]]


@pytest.mark.parametrize("kind", [Kind.QUARANTINE, Kind.DISCARD])
def test_originals_are_kept_by_place_in_the_ledger(desk: Desk, kind: Kind) -> None:
    """The bytes of what was put aside or dropped can be had by the batch and the entry."""
    desk.put(*LETTERS)
    desk.run(kind, selector=EMAIL, wave=40)
    found = [
        original
        for batch in desk.queue.batches("r1")
        for original in desk.queue.originals("r1", [f"{batch.sequence}:{i}" for i in range(len(batch))])
    ]
    assert found == EMAILS


def test_edited_messages_move_and_their_originals_stay(desk: Desk) -> None:
    """Only the field that was named changes; an edit that does not apply keeps the message where it is."""
    odd_one = letter(1_001, retryCount="many")
    desk.put(*LETTERS[:20], odd_one)
    record = desk.run(selector=EMAIL, edit=Edit(increment=("retryCount",)))
    changed = [{**json.loads(m), "retryCount": json.loads(m)["retryCount"] + 1} for m in EMAILS[:10]]
    assert [json.loads(message) for message in desk.show(Place.LIVE)] == changed
    assert desk.show() == [*WEBHOOKS[:10], odd_one]
    assert (record.edited, record.redriven, record.kept) == (10, 10, 11)
    assert desk.queue.originals("r1", [f"1:{i}" for i in range(10)]) == EMAILS[:10]


def test_a_selector_and_a_limit_select_the_oldest(desk: Desk) -> None:
    """Conditions on the content hold, and of those that fit the oldest are taken."""
    desk.put(*LETTERS)
    desk.run(selector=Selector(types=("email",), where=("retryCount=3",)), limit=5)
    assert desk.show(Place.LIVE) == [message for message in EMAILS if json.loads(message)["retryCount"] == 3][:5]


def test_a_batch_is_done_once(desk: Desk) -> None:
    """The second commit of a sequence number moves nothing and reports what the first one did."""
    desk.put(*LETTERS[:10])
    batch = batch_of(1, LETTERS[:4], b"mkmq")
    first = commit(desk, batch)
    after = (desk.show(), desk.show(Place.LIVE), desk.show(Place.QUARANTINE))
    second = commit(desk, batch)
    assert (first.repeated, second.repeated) == (False, True)
    assert (first.scanned, first.selected) == (second.scanned, second.selected) == (4, 3)
    assert (desk.show(), desk.show(Place.LIVE), desk.show(Place.QUARANTINE)) == after
    record = desk.queue.run("by-hand")
    assert record is not None
    assert (record.redriven, record.quarantined, record.kept, record.remaining) == (2, 1, 1, 6)


def test_a_batch_moves_what_is_still_there(desk: Desk) -> None:
    """Others took the oldest two in between: the rest of the chunk moves, and its entries fit."""
    desk.put(*LETTERS[:10])
    batch = batch_of(1, LETTERS[:6], b"mkeqdm")
    assert desk.take(3, Place.DLQ) == LETTERS[:3]
    receipt = commit(desk, batch)
    assert (receipt.scanned, receipt.vanished, receipt.selected) == (3, 3, 3)
    assert desk.show(Place.LIVE) == [LETTERS[5]]
    assert desk.show(Place.QUARANTINE) == [LETTERS[3]]
    assert desk.show() == LETTERS[6:10]
    entries = only(desk.queue.batches("by-hand"))
    assert [action for action, *_ in entries] == [b"q", b"d", b"m"]


@pytest.mark.parametrize("gone", [4, 6, 10])
def test_a_batch_of_which_nothing_is_left_does_nothing(desk: Desk, gone: int) -> None:
    """Others took the whole chunk: the batch is refused, and every message that is there stays."""
    desk.put(*LETTERS[:10])
    batch = batch_of(1, LETTERS[:4], b"m")
    desk.take(gone, Place.DLQ)
    assert not commit(desk, batch).committed
    assert desk.show() == LETTERS[gone:10]
    assert desk.show(Place.LIVE) == []
    assert list(desk.queue.batches("by-hand")) == []


def test_the_ledger_says_what_became_of_each_message(desk: Desk) -> None:
    """Counts, signatures and waves of a run add up to what the lists show."""
    desk.put(*LETTERS)
    record = desk.run(selector=EMAIL, wave=30)
    batches = list(desk.queue.batches("r1"))
    assert sum(map(len, batches)) == record.selected == record.redriven == 115
    assert sum(batch.kept for batch in batches) == record.kept == 115
    assert sum(batch.scanned for batch in batches) == record.scanned == record.frozen == 230
    assert {batch.wave for batch in batches} == {1, 2, 3, 4}
    assert all("email" in text or "webhook" in text for text in desk.queue.signatures("r1").values())
    assert record.state == "done"


def test_unlike_sizes_go_through_one_run(desk: Desk) -> None:
    """Messages from none to 700,000 bytes move whole and in order: chunks shrink and grow with them."""
    sizes = [0, 1, 255, 256, 257, 700_000, 3, 300_000, 300_000, *[10] * 1_200, 600_000]
    messages = [b"%d:" % place + b"x" * size for place, size in enumerate(sizes)]
    desk.put(*messages)
    desk.run(selector=Selector(corrupted=None))
    assert desk.show(Place.LIVE) == messages


@pytest.mark.parametrize(("wave", "greed"), [(1, 1), (1, 3), (2, 7), (3, 40), (50, 55), (None, 60)])
def test_a_greedy_consumer_of_the_dlq_does_not_stop_a_run(
    desk: Desk, wave: int | None, greed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes more than the whole batch before each of the first commits: the run goes on with what is left."""
    desk.put(*LETTERS)
    run = desk.start()
    through, stolen = desk.queue.commit, list[bytes]()

    def commit(*given: Any) -> Any:
        if len(stolen) < 3 * greed:
            stolen.extend(desk.take(greed, Place.DLQ))
        return through(*given)

    monkeypatch.setattr(desk.queue, "commit", commit)
    number = 1
    while not run.wave(number, wave).ended:
        number += 1
    record = run.finish()
    assert desk.show(Place.LIVE) == [message for message in LETTERS if message not in stolen]
    assert desk.show() == []
    assert (record.redriven, record.vanished, record.remaining) == (len(LETTERS) - len(stolen), len(stolen), 0)
    assert desk.outcome().unexplained == 0
