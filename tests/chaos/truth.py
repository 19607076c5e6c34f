"""What must be true after a fault: which bytes lie where, and how often."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

import redis

from dlq.config.queues import QueueConfig

QUEUE = "jobs"
KINDS = ("order.created", "email.send", "image.resize")
_SIZES = (40, 300, 900, 2_000, 12_000, 120_000)
_WEIGHTS = (50, 25, 15, 8, 1.5, 0.5)


@dataclass(slots=True)
class Counts:
    """Counts of messages; `kills` of processes. `redriven` counts what runs selected, whatever they did with it.

    `marked` counts copies that say of themselves that they may be ones, which RabbitMQ allows after a kill;
    they are not among the `duplicated`.
    """

    attempted: int = 0
    redriven: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    kills: int = 0
    marked: int = 0

    def add(self, other: "Counts") -> None:
        """Add the counts of one comparison."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_dict(self) -> dict[str, int]:
        """Render for the summary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Expected:
    """What must lie at each place, oldest first: in the DLQ, the live queue, the quarantine."""

    dlq: list[bytes]
    live: list[bytes]
    quarantine: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    """Dropped by intent."""

    @property
    def places(self) -> tuple[list[bytes], ...]:
        """Give the lists in the order of `World.places`."""
        return self.dlq, self.live, self.quarantine


def make_messages(count: int, seed: int) -> list[bytes]:
    """Make messages of mixed sizes, oldest first: 3 % corrupted, every fiftieth a copy of another."""
    rng = random.Random(seed)
    made: list[bytes] = []
    for number in range(count):
        if number and number % 50 == 0:
            made.append(made[rng.randrange(len(made))])
            continue
        if rng.random() < 0.03:
            made.append(b"\xff{not json %d" % number)
            continue
        size = rng.choices(_SIZES, _WEIGHTS)[0]
        body = {
            "id": f"{seed}-{number}",
            "type": rng.choice(KINDS),
            "error": f"Timeout after {rng.randrange(9)} s",
            "retryCount": 1 + number % 5,
            "payload": f"{rng.getrandbits(128):032x}" + "x" * rng.randrange(size),
        }
        made.append(json.dumps(body, separators=(",", ":")).encode())
    return made


def kind_of(message: bytes) -> str | None:
    """Tell the type of a message of ours without the engine's reader; None for a corrupted one."""
    return None if message.startswith(b"\xff") else str(json.loads(message)["type"])


class World:
    """The keys of one queue on one server, and what simulated consumers took from them."""

    broker = "redis"
    ordered = True
    """Whether the order of messages outlives a kill."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.config = QueueConfig.model_validate(QueueConfig.defaults(QUEUE, "chaos"))
        self.client = self.connect()
        self.popped: list[bytes] = []

    def connect(self) -> Any:
        """Open the client that looks at the keys."""
        return redis.Redis.from_url(self.url)

    @property
    def keys(self) -> tuple[str, str, str]:
        """Name the lists: DLQ, live queue, quarantine."""
        return self.config.dlq, self.config.live, self.config.quarantine

    def fill(self, dlq: list[bytes], live: list[bytes] = []) -> None:  # noqa: B006 - never changed
        """Empty the server and push messages, oldest first."""
        self.client.flushall()
        self.popped = []
        for key, messages in ((self.config.dlq, dlq), (self.config.live, live)):
            for start in range(0, len(messages), 500):
                self.client.lpush(key, *messages[start : start + 500])

    def places(self) -> tuple[list[bytes], ...]:
        """Read the three lists whole, oldest first."""
        return tuple(cast("list[bytes]", self.client.lrange(key, 0, -1))[::-1] for key in self.keys)

    def marked(self) -> Counter[bytes]:
        """Count the messages that are marked as possible copies; Redis has none."""
        return Counter()

    def strangers(self) -> list[bytes]:
        """Read the messages in lists that nobody knows."""
        known = {key.encode() for key in self.keys}
        found: list[bytes] = []
        for key in self.client.scan_iter(_type="list"):
            if key not in known:
                found += cast("list[bytes]", self.client.lrange(key, 0, -1))
        return found


def compare(world: World, truth: Iterable[bytes], redriven: int, gone: Iterable[bytes] = ()) -> Counts:
    """Compare the multiset of all bytes with the truth, wherever they lie."""
    should = Counter(truth)
    found = Counter(message for place in world.places() for message in place)
    found.update(world.popped)
    found.update(world.strangers())
    found.update(gone)
    extra = found - should
    forgiven = extra & world.marked()
    extra -= forgiven
    known = sum(count for message, count in extra.items() if message in should)
    return Counts(
        attempted=should.total(),
        redriven=redriven,
        lost=(should - found).total(),
        duplicated=known,
        unexpected=extra.total() - known,
        marked=forgiven.total(),
    )


def compare_places(world: World, expected: Expected, redriven: int) -> Counts:
    """Compare as `compare` does; what lies in a wrong place counts as unexpected too."""
    everything = [message for place in (*expected.places, expected.gone) for message in place]
    counts = compare(world, everything, redriven, expected.gone)
    if counts.lost == counts.duplicated == counts.unexpected == 0:
        found_places, marked = world.places(), world.marked()
        for should, found in zip(expected.places, found_places, strict=True):
            counts.unexpected += (Counter(found) - Counter(should) - marked).total()
    return counts
