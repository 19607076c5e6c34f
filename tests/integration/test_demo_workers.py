"""The demo's workers on a real server: they deliver, fail as the truth says, log it, and stop in order."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from dlq.config.settings import Settings
from dlq.demo.lists import open_lists
from dlq.demo.scoreboard import Places, score
from dlq.demo.workers import LogLine
from dlq.demo.world import Letter, make_world
from dlq.embedded.redis import EmbeddedRedis

LIVE, DLQ = "tokpulse:webhooks", "tokpulse:dlq:webhooks"


def start_worker(folder: Path, rate: int, failing: list[str], **where: str) -> "subprocess.Popen[bytes]":
    """Start a worker process on the live queue of webhooks; `where` are the settings that say where that is."""
    (folder / "truth").write_text("\n".join(failing), encoding="utf-8")
    command = [sys.executable, "-m", "dlq.demo.workers", "--queue", "webhooks", "--rate", str(rate)]
    command += ["--truth-file", str(folder / "truth"), "--log", str(folder / "log")]
    settings = {**where, "DLQ_CONFIG": "", "DLQ_HOME": str(folder)}
    return subprocess.Popen(command, env={**os.environ, **settings}, cwd=folder)


@pytest.mark.parametrize("flavour", ["embedded"], indirect=True)
@pytest.mark.parametrize("rate", [100_000, 1_000])
def test_a_stopped_worker_has_lost_and_doubled_nothing(server: EmbeddedRedis, tmp_path: Path, rate: int) -> None:
    """SIGTERM, at the end or amid the work, ends a worker with status 0; every message is somewhere, once."""
    world = make_world(5_000, 3, datetime(2026, 1, 2, tzinfo=UTC))
    letters: tuple[Letter, ...] = tuple(letter for letter in world.letters["webhooks"] if letter.id is not None)
    with redis.Redis.from_url(server.url) as client:
        client.lpush(LIVE, *(letter.raw for letter in letters))
        worker = start_worker(tmp_path, rate, world.failing("webhooks"), DLQ_REDIS_URL=server.url)
        try:
            deadline = time.monotonic() + 30
            aim = 0 if rate > len(letters) else len(letters) - 500
            while client.llen(LIVE) > aim and time.monotonic() < deadline:
                time.sleep(0.02)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(10) == 0
        finally:
            worker.kill()
            worker.wait()
        places = Places(tuple(client.lrange(DLQ, 0, -1)), tuple(client.lrange(LIVE, 0, -1)), ())
    result = score("webhooks", letters, places, LogLine.read_all([tmp_path / "log"]))
    assert (result.lost, result.duplicated, result.unexpected) == (0, 0, 0)
    assert result.unfinished == len(places.live)
    assert result.matches == (aim == 0)


@pytest.mark.parametrize("broker", ["redis_cluster", "rabbit_server"])
def test_workers_of_the_other_brokers(broker: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """They do the same there; a stop in the middle leaves what they had not worked on in the live queue."""
    url = request.getfixturevalue(broker).url
    where = {"DLQ_BROKER_URL": url} if broker == "rabbit_server" else {"DLQ_REDIS_URL": url}
    world = make_world(2_000, 3, datetime(2026, 1, 2, tzinfo=UTC))
    letters = tuple(letter for letter in world.letters["webhooks"] if letter.id is not None)
    settings = Settings.model_validate({name.removeprefix("DLQ_").lower(): value for name, value in where.items()})
    for name in (LIVE, DLQ):
        with open_lists(settings) as lists:
            lists.length(name)
            while lists.take(name, 1_000):  # what an earlier test has left
                pass
    with open_lists(settings) as lists:
        lists.push(LIVE, [letter.raw for letter in letters])
        worker = start_worker(tmp_path, 400, world.failing("webhooks"), **where)
        try:
            deadline = time.monotonic() + 60
            while lists.length(LIVE) > len(letters) - 300 and time.monotonic() < deadline:
                time.sleep(0.02)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
        finally:
            worker.kill()
            worker.wait()
        places = Places(tuple(lists.all(DLQ)), tuple(lists.all(LIVE)), ())
    result = score("webhooks", letters, places, LogLine.read_all([tmp_path / "log"]))
    assert (result.lost, result.duplicated, result.unexpected) == (0, 0, 0)
    assert 0 < result.unfinished == len(places.live)
