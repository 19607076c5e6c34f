"""An operator discards a signature into an archive, and puts it back: once, twice, and after kills midway."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dlq.brokers.opening import open_queue
from dlq.config.settings import load_settings
from dlq.embedded.redis import EmbeddedRedis
from dlq.engine import archive
from dlq.engine.discard import discard
from dlq.engine.run import Kind, Request
from dlq.errors import ArchiveError, BrokerUnreachableError
from dlq.messages.selectors import Selector
from tests.runbook.test_drain_journey import DLQ, LIVE, dlq

pytestmark = pytest.mark.parametrize("flavour", ["redis"], indirect=True)


def dead(number: int, error: str) -> bytes:
    """Make a dead letter."""
    return json.dumps(
        {"id": f"evt_{number}", "type": "webhook", "error": error, "n": "é\u2028\n"}, ensure_ascii=False
    ).encode()


HEALTHY = [dead(number, "TimeoutError: gateway") for number in range(50)]
POISON = [dead(number, "KeyError: 'amount'") for number in range(100, 3_100)]
BROKEN = [b"\xff\xfe not utf-8 %d" % number for number in range(5)]


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    """Fill a Redis with healthy, poisoned and corrupted dead letters, mixed."""
    monkeypatch.setenv("DLQ_REDIS_URL", server.url)
    monkeypatch.setenv("DLQ_ARCHIVES", str(tmp_path / "archives"))
    monkeypatch.chdir(tmp_path)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(DLQ, *HEALTHY[:25], *BROKEN, *POISON, *HEALTHY[25:], POISON[0])
        yield client


def contents(client: redis.Redis) -> Counter[bytes]:
    """Give the multiset of the DLQ."""
    return Counter(client.lrange(DLQ, 0, -1))


@pytest.mark.parametrize("place", ["{}", "file://{}", "local://{}"])
def test_discard_and_restore_twice(
    client: redis.Redis, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is dropped lies in the archive, byte for byte and with its double; restored twice, each is there once.

    The archives are a folder, or an address that fsspec opens.
    """
    monkeypatch.setenv("DLQ_ARCHIVES", place.format(tmp_path / "elsewhere"))
    before = client.lrange(DLQ, 0, -1)
    run = dlq("discard", "webhooks", "--error", "KeyError", "--reason", "cannot be mended", "--yes", "--json")
    assert (run["dropped"], run["archived"], run["unexplained"]) == (3_001, 3_001, 0)
    assert contents(client) == Counter(HEALTHY + BROKEN)
    assert Counter(archive.messages_of(run["archive"])) == Counter([*POISON, POISON[0]])
    assert archive.origin_of(run["archive"]).reason == "cannot be mended"
    facts = client.hgetall(f"dlq-drain:{{{DLQ}}}:run:{run['run_id']}")
    assert facts[b"approval"].endswith(b": cannot be mended")
    assert len(list((tmp_path / "elsewhere").rglob("*.jsonl.zst"))) == 1
    first = dlq("restore", run["archive"], "--yes", "--json")
    again = dlq("restore", run["archive"], "--yes", "--json")
    assert (first["restored"], again["restored"], again["before"]) == (3_001, 0, 3_001)
    assert contents(client) == Counter(before)


def test_restore_without_the_ledger(client: redis.Redis) -> None:
    """The ledger has expired: the archive alone brings everything back, corrupted bytes too, and only once."""
    run = dlq("discard", "webhooks", "--corrupted", "--yes", "--json")
    assert run["dropped"] == 5
    left = client.lrange(DLQ, 0, -1)
    client.flushall()
    client.rpush(DLQ, *left)
    for expected in (5, 0, 0):
        assert dlq("restore", run["archive"], "--yes", "--json")["restored"] == expected
    assert client.lrange(DLQ, 0, 4)[::-1] == BROKEN
    client.delete(*(key for key in client.keys("dlq-drain:*")))
    assert dlq("restore", run["archive"], "--yes", "--json")["restored"] == 0
    assert client.llen(DLQ) == len(left) + 5


def test_what_arrives_meanwhile_is_not_dropped(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that fits the selector and came after the export stays; what somebody else took is not made up."""
    late = dead(9_999, "KeyError: 'amount'")
    complete = archive.check

    def meanwhile(address: str) -> archive.Written:
        if client.lpos(DLQ, late) is None:
            client.lpush(DLQ, late)
            client.lrem(DLQ, 0, POISON[7])
        return complete(address)

    monkeypatch.setattr("dlq.engine.archive.check", meanwhile)
    run = dlq("discard", "webhooks", "--error", "KeyError", "--yes", "--json")
    assert (run["archived"], run["dropped"]) == (3_001, 3_000)
    assert contents(client) == Counter([*HEALTHY, *BROKEN, late])
    client.delete(*(key for key in client.keys("dlq-drain:*")))
    found = dlq("restore", run["archive"], "--yes", "--json")
    assert (found["restored"], found["not_dropped"]) == (3_000, 1)
    assert contents(client)[POISON[7]] == 0


def test_a_rollback_is_known_to_the_archive(client: redis.Redis) -> None:
    """Rolled back, and its ledger gone: the archive puts nothing back a second time."""
    before = contents(client)
    run = dlq("discard", "webhooks", "--corrupted", "--yes", "--json")
    dlq("rollback", run["run_id"], "--yes", "--json")
    assert contents(client) == before
    client.delete(*client.keys("dlq-drain:*"))
    assert dlq("restore", run["archive"], "--yes", "--json")["restored"] == 0
    assert contents(client) == before


@pytest.mark.parametrize(
    "words",
    [("discard", "webhooks", "--yes"), ("discard", "webhooks", "--limit", "5", "--yes")],
    ids=["all", "only a limit"],
)
def test_nobody_discards_a_whole_queue(client: redis.Redis, words: tuple[str, ...]) -> None:
    """Without a selector it is refused with status 2."""
    before = client.llen(DLQ)
    assert "which messages" in dlq(*words, expect=2)["stderr"]
    assert client.llen(DLQ) == before


def test_an_archive_that_cannot_be_written_drops_nothing(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder that is a file: status 1, every message is where it was, and the queue is free again."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DLQ_ARCHIVES", str(tmp_path / "file"))
    before = contents(client)
    assert "archive" in dlq("discard", "webhooks", "--corrupted", "--yes", expect=1)["stderr"]
    assert contents(client) == before
    assert client.exists(f"dlq-drain:{{{DLQ}}}:lock") == 0


def test_a_damaged_archive_is_refused(client: redis.Redis) -> None:
    """Cut off, or with a flipped byte: nothing is put back, and nothing is dropped because of it."""
    run = dlq("discard", "webhooks", "--corrupted", "--yes", "--json")
    path = Path(run["archive"])
    whole = path.read_bytes()
    left = contents(client)
    for damaged in (whole[: len(whole) // 2], whole[: len(whole) // 2] + b"\0" + whole[len(whole) // 2 + 1 :], b""):
        path.write_bytes(damaged)
        assert "archive" in dlq("restore", run["archive"], "--yes", expect=1)["stderr"]
    assert contents(client) == left
    with pytest.raises(ArchiveError):
        archive.check(run["archive"])


def test_a_discard_that_goes_on_keeps_its_archive(client: redis.Redis, tmp_path: Path) -> None:
    """It broke while it dropped: done again, what is gone from the DLQ by then still lies in the archive."""
    settings = load_settings()
    request = Request(Kind.DISCARD, "ada@ops", "cannot be mended", Selector(error="KeyError"))
    with open_queue(settings, "webhooks") as (queue, config):
        finish = queue.finish

        def broken(*_args: object) -> None:
            raise BrokerUnreachableError("cut off")

        queue.finish = broken  # type: ignore[method-assign]
        with pytest.raises(BrokerUnreachableError):
            discard(queue, config, request, "webhooks-1", str(tmp_path))
        assert client.llen(DLQ) == 55
        queue.finish = finish  # type: ignore[method-assign]
        written, record = discard(queue, config, request, "webhooks-1", str(tmp_path))
    assert (written.messages, record.dropped, record.state) == (3_001, 3_001, "done")


KILLED_DISCARD = """
import os, signal, sys
from dlq.engine import discard
from dlq.cli import main
at = int(sys.argv.pop(1))
calls = iter(range(10_000))
def counted(function):
    def call(*args, **more):
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **more)
    return call
from dlq.brokers.redis_list import RedisListQueue as queue
for name in ("commit", "put", "read", "finish", "acquire", "begin", "unstash"):
    setattr(queue, name, counted(getattr(queue, name)))
sys.argv = ["dlq", *sys.argv[1:]]
main()
"""


def killed(at: int, *words: str) -> int:
    """Run the command in a process that kills itself at its `at`-th call of the broker; give its status."""
    command = [sys.executable, "-c", KILLED_DISCARD, str(at), *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


@pytest.mark.parametrize("at", [1, 3, 6, 9, 12, 16, 20])
def test_a_restore_that_is_killed_is_gone_on_with(
    client: redis.Redis, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any call, with and without a ledger: the next restore completes it, each message is there once."""
    monkeypatch.setenv("DLQ_LOCK_SECONDS", "5")
    before = contents(client)
    run = dlq("discard", "webhooks", "--error", "KeyError", "--yes", "--json")
    if at % 2:
        left = client.lrange(DLQ, 0, -1)
        client.flushall()
        client.rpush(DLQ, *left)
    killed(at, "restore", run["archive"], "--yes")
    client.delete(f"dlq-drain:{{{DLQ}}}:lock")
    dlq("restore", run["archive"], "--yes", "--json")
    assert contents(client) == before


@pytest.mark.parametrize("at", [2, 6, 10, 14, 18])
def test_a_discard_that_is_killed_loses_nothing(client: redis.Redis, at: int) -> None:
    """Every message is in the DLQ or, dropped, in a complete archive; what was begun is resumed and can be restored."""
    before = contents(client)
    assert killed(at, "discard", "webhooks", "--error", "KeyError", "--yes", "--json") in {-9, 0}
    client.delete(f"dlq-drain:{{{DLQ}}}:lock")
    runs = dlq("runs", "--json")["runs"]
    gone = before - contents(client)
    if not runs:
        assert not gone
        return
    (found,) = runs
    address = archive.address_of("archives", "webhooks", found["run_id"])
    assert not gone - Counter(archive.messages_of(address))
    if found["state"] == "running":
        dlq("resume", found["run_id"], "--settle", "0", "--json")
    assert contents(client) == Counter(HEALTHY + BROKEN)
    dlq("restore", address, "--yes", "--json")
    assert contents(client) == before
    assert client.llen(LIVE) == 0


def test_a_discard_of_several_waves_drops_all_of_its_archive(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wave that ends within a chunk leaves the rest of the chunk to the next wave, not in the DLQ."""
    monkeypatch.setattr("dlq.engine.discard._WAVE", 70)
    run = dlq("discard", "webhooks", "--error", "KeyError", "--yes", "--json")
    assert (run["archived"], run["dropped"]) == (3_001, 3_001)
    assert contents(client) == Counter(HEALTHY + BROKEN)


def test_an_archive_of_which_nobody_knows_what_was_dropped_is_not_put_back(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The discard died midway and its ledger has expired: a restore would double what is still in the DLQ."""

    def die(*_args: object) -> None:
        raise BrokerUnreachableError("cut off")

    monkeypatch.setattr("dlq.engine.discard._WAVE", 70)
    monkeypatch.setattr("dlq.engine.run.Run.finish", die)
    with open_queue(load_settings(), "webhooks") as (queue, config), pytest.raises(BrokerUnreachableError):
        discard(queue, config, Request(Kind.DISCARD, "ada", selector=Selector(error="KeyError")), "w-1", "archives")
    left = contents(client)
    client.delete(*client.keys("dlq-drain:*"))
    assert "nobody knows" in dlq("restore", "archives/webhooks/w-1.jsonl.zst", "--yes", expect=1)["stderr"]
    assert contents(client) == left


def test_a_restore_that_died_is_not_begun_anew_without_its_ledger(client: redis.Redis) -> None:
    """Killed between two batches, and the ledger expired meanwhile: nothing is put back a second time."""
    run = dlq("discard", "webhooks", "--error", "KeyError", "--yes", "--json")
    client.delete(*client.keys("dlq-drain:*"))
    assert killed(5, "restore", run["archive"], "--yes") == -9
    some = contents(client)
    assert 55 < some.total() < 3_056
    client.delete(*client.keys("dlq-drain:*"))
    assert "nobody knows" in dlq("restore", run["archive"], "--yes", expect=1)["stderr"]
    assert contents(client) == some


def test_a_discard_that_is_looked_at_again_stays_restored(client: redis.Redis, tmp_path: Path) -> None:
    """Its flow is retried after the messages went back: the archive still knows that they are back."""
    request = Request(Kind.DISCARD, "ada", selector=Selector(error="KeyError"))
    before = contents(client)
    with open_queue(load_settings(), "webhooks") as (queue, config):
        written, _ = discard(queue, config, request, "w-1", str(tmp_path))
        dlq("restore", written.address, "--yes", "--json")
        discard(queue, config, request, "w-1", str(tmp_path))
    assert contents(client) == before
    client.delete(*client.keys("dlq-drain:*"))
    assert dlq("restore", written.address, "--yes", "--json")["restored"] == 0
    assert contents(client) == before
