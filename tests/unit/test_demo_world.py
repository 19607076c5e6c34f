"""The demo's messages: as many, as varied and as damaged as they claim, with a truth that the reader confirms."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from dlq.config.settings import QueueConfig
from dlq.demo.scoreboard import Places, Score, score
from dlq.demo.stops import Stops
from dlq.demo.workers import DELIVERED, FAILED, LogLine
from dlq.demo.world import Fate, Letter, World, make_world
from dlq.messages.reading import Reading
from dlq.records.ledger import RunRecord, fingerprint

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
AGAIN = b'{"id":"b","type":"t","attempts":2}'


@pytest.fixture(scope="module")
def world() -> World:
    """Make a small world once."""
    return make_world(6_000, 7, NOW)


def test_the_same_seed_gives_the_same_bytes(world: World) -> None:
    """A world depends on its arguments only."""
    assert make_world(6_000, 7, NOW) == world
    assert make_world(6_000, 8, NOW) != world


def test_every_message_is_there(world: World) -> None:
    """The shares of the queues add up to what was asked for."""
    assert {queue: len(letters) for queue, letters in world.letters.items()} == {
        "webhooks": 3_600,
        "jobs": 1_500,
        "experiments": 900,
    }


def test_the_reader_agrees_on_what_is_corrupted(world: World) -> None:
    """Corrupted letters, and only those, are corrupted to the program; about 2 % are."""
    for queue, letters in world.letters.items():
        reader = Reading.of(QueueConfig(**QueueConfig.defaults(queue))).reader
        for letter in letters:
            envelope = reader.read(letter.raw)
            assert (envelope.corruption is not None) == (letter.fate is Fate.CORRUPTED)
            assert letter.id is None or envelope.id == letter.id
    corrupted = sum(letter.fate is Fate.CORRUPTED for letters in world.letters.values() for letter in letters)
    assert 0.01 < corrupted / len(world) < 0.03


def test_there_are_at_least_eight_signatures(world: World) -> None:
    """Texts with varying parts blank to a few signatures, one a cause and type."""
    texts = set()
    for queue, letters in world.letters.items():
        reading = Reading.of(QueueConfig(**QueueConfig.defaults(queue)))
        for letter in letters:
            if letter.id is not None:
                signature = reading.book.signature(reading.book.code(reading.reader.read(letter.raw)))
                texts.add(str(signature))
    assert 8 <= len(texts) <= 40


def test_letters_are_oldest_first_and_sized_like_real_ones(world: World) -> None:
    """Times rise, and healthy messages have a few hundred bytes."""
    for letters in world.letters.values():
        assert [letter.at for letter in letters] == sorted(letter.at for letter in letters)
        assert all(300 <= len(letter.raw) <= 720 for letter in letters if letter.id is not None)


def test_poison_bounces(world: World) -> None:
    """About one in a hundred fails every time, and so is to bounce."""
    poison = [letter for letters in world.letters.values() for letter in letters if letter.poison]
    assert 0.004 < len(poison) / len(world) < 0.02
    assert {letter.fate for letter in poison} == {Fate.BOUNCED}


def test_the_truth_counts_equal_bytes(world: World) -> None:
    """Empty messages equal each other, and each of them counts."""
    for queue, letters in world.letters.items():
        fates = world.fates_by_bytes(queue)
        assert fates.total() == len(letters)
        assert fates[b"", Fate.CORRUPTED] == Counter(letter.raw for letter in letters)[b""]


LETTERS = (
    Letter(b'{"id":"a","type":"t"}', "a", Fate.DELIVERED, NOW),
    Letter(b'{"id":"b","type":"t","attempts":1}', "b", Fate.BOUNCED, NOW),
    Letter(b"", None, Fate.CORRUPTED, NOW),
)
LOG = (
    LogLine(DELIVERED, "a", fingerprint(LETTERS[0].raw).hex(), "-"),
    LogLine(FAILED, "b", fingerprint(LETTERS[1].raw).hex(), fingerprint(AGAIN).hex()),
)


def scored(
    dlq: tuple[bytes, ...] = (b"", AGAIN), log: tuple[LogLine, ...] = LOG, live: tuple[bytes, ...] = ()
) -> Score:
    """Score the three letters above."""
    return score("q", LETTERS, Places(dlq, live, ()), log)


def test_the_score_matches_when_every_fate_does() -> None:
    """One delivered, one bounced, one corrupted and kept: nothing else."""
    assert scored().matches


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        (scored(dlq=(AGAIN,)), {"lost": 1}),
        (scored(dlq=(b"",)), {"lost": 1}),
        (scored(log=LOG[1:]), {"lost": 1}),
        (scored(log=(*LOG, LOG[0])), {"duplicated": 1}),
        (scored(live=(LETTERS[0].raw,)), {"duplicated": 1}),
        (scored(dlq=(b"", AGAIN, AGAIN)), {"duplicated": 1}),
        (scored(dlq=(b"", AGAIN, b"strange")), {"unexpected": 1}),
        (scored(dlq=(b"", b""), live=(AGAIN,)), {"unexpected": 1, "unfinished": 1}),
        (scored(dlq=(b"", AGAIN, LETTERS[0].raw), log=LOG[1:]), {"unfinished": 1}),
        (scored(dlq=(AGAIN,), live=(b"",)), {"unfinished": 1}),
    ],
)
def test_the_score_sees_what_is_wrong(wrong: Score, finding: dict[str, int]) -> None:
    """What is lost, twice there, strange or not done is counted, and the score does not match."""
    names = ("lost", "duplicated", "unexpected", "unfinished")
    assert {name: getattr(wrong, name) for name in names if getattr(wrong, name)} == finding
    assert not wrong.matches


def test_an_altered_message_is_unexpected() -> None:
    """A worker that took other bytes than were put in shows that a message was changed on its way."""
    altered = LogLine(DELIVERED, "a", fingerprint(b"other").hex(), "-")
    assert scored(log=(altered, LOG[1])).unexpected == 1


def test_what_a_stop_left_in_the_dlq_is_right_only_while_nobody_had_it() -> None:
    """A message of a stopped signature may lie in the DLQ untouched; not elsewhere, and not of another signature."""
    untouched = Places((b"", AGAIN, LETTERS[0].raw), (), ())
    found = score("q", LETTERS, untouched, LOG[1:], lambda raw: raw == LETTERS[0].raw)
    assert (found.held, found.unfinished, found.matches) == (1, 0, True)
    assert not score("q", LETTERS, untouched, LOG[1:], lambda raw: raw != LETTERS[0].raw).matches
    waiting = Places((b"", AGAIN), (LETTERS[0].raw,), ())
    assert not score("q", LETTERS, waiting, LOG[1:], lambda _raw: True).matches


@pytest.mark.parametrize(("failing", "right"), [(10, True), (3, True), (0, False)])
def test_a_stop_is_compared_with_the_truth(failing: int, right: bool) -> None:  # noqa: FBT001 - a column of the table
    """To stop what fails in truth is right, to stop what has healed is not."""
    config = QueueConfig.model_validate(QueueConfig.defaults("webhooks"))
    fates = [Fate.BOUNCED] * failing + [Fate.DELIVERED] * (10 - failing)
    letters = [
        Letter(b'{"id":"%d","type":"t","error":"E: %d"}' % (n, n), str(n), fate, NOW) for n, fate in enumerate(fates)
    ]
    reading = Reading.of(config)
    key = reading.book.key(reading.book.code(reading.reader.read(letters[0].raw)))
    fact = json.dumps([{"key": key, "why": "it came back", "sent": 4, "bounced": 4, "became": {}}])
    stops = Stops(RunRecord.from_fields("r1", {"stopped": fact}), reading)
    (stop,) = stops.against(letters, config)
    assert (stop.sent, stop.messages, stop.failing, stop.right) == (4, 10, failing, right)
    assert stops.holds(letters[0].raw)
    assert not Stops(None, reading).holds(letters[0].raw)
