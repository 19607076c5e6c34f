"""Seeded worlds to drain in: consumers of some speed, signatures that bounce at some rate, and a controller in charge.

Time is simulated; a world knows the truth, which the controller sees only through bounces.
"""

import json
import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from dlq.pacing.controller import Controller
from dlq.pacing.pace import Limits
from dlq.pacing.windows import Action, Decision, Seen, State


@dataclass(frozen=True)
class Truth:
    """A signature's share of the queue, and its bounce rate before and after the moment `turns` (seconds)."""

    share: float
    before: float
    after: float
    turns: float

    def rate(self, at: float) -> float:
        """Give the bounce rate at a moment."""
        return self.before if at < self.turns else self.after


@dataclass
class World:
    """A queue of dead letters by signature, oldest first, and its consumers."""

    truths: dict[str, Truth]
    queue: list[str]
    speed: float
    delay: float
    """Seconds between taking a message and its bounce."""
    fresh: float
    """Other messages a second that producers push into the live queue."""
    limits: Limits
    seed: int
    now: float = 0.0
    live: deque[tuple[str, int, float]] = field(default_factory=deque)
    late: deque[tuple[float, str, int, float]] = field(default_factory=deque)
    sent: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    bounced: Counter[str] = field(default_factory=Counter)
    bounces_of_sent_at: list[tuple[str, float]] = field(default_factory=list)
    waves: list[tuple[float, int]] = field(default_factory=list)
    by_wave: dict[int, dict[str, list[int]]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    longest: int = 0
    widest: int = 0
    """The most messages that were on their way at once: sent, and not surely delivered."""
    _credit: float = 0.0
    _fresh: float = 0.0

    def __post_init__(self) -> None:
        """Make the randomness of the consumers."""
        self.rng = random.Random(self.seed)
        self.selection = len(self.queue)
        self._next = 0

    def seen(self, stopped: set[str]) -> Seen:
        """Look at the outcome so far."""
        more = any(self.queue[i] not in stopped for i in range(self._next, min(self._next + 500, len(self.queue))))
        return Seen(
            1e9 + self.now,
            len(self.live),
            more or self._next + 500 < len(self.queue),
            dict(self.sent),
            dict(self.gone),
            dict(self.bounced),
            tuple(
                (wave, {key: (gone, bounced) for key, (gone, bounced) in counts.items()})
                for wave, counts in list(self.by_wave.items())[-8:]
            ),
        )

    def send(self, decision: Decision) -> int:
        """Send the longest prefix of what is left that the decision allows; return how many messages."""
        used, place, batch = Counter[str](), self._next, list[tuple[str, int, float]]()
        wave = len(self.waves) + 1
        while place < len(self.queue) and len(batch) < decision.size:
            key = self.queue[place]
            allowed = decision.allowed.get(key, decision.others)
            if used[key] >= allowed and not self._is_stopped(key):
                break
            place += 1
            if self._is_stopped(key):
                continue
            used[key] += 1
            batch.append((key, wave, self.now))
        if len(batch) < decision.least and place < len(self.queue):
            return 0
        self._next, size = place, len(batch)
        self.live.extend(batch)
        self.sent.update(used)
        self.longest = max(self.longest, len(self.live))
        if size:
            self.waves.append((self.now, size))
            self.by_wave[wave] = {key: [0, 0] for key in used}
        return size

    def _is_stopped(self, key: str) -> bool:
        return key in self.stopped

    def pass_time(self, seconds: float) -> None:
        """Let the consumers work."""
        self.now += seconds
        self._fresh += self.fresh * seconds
        while self._fresh >= 1:
            self._fresh -= 1
            self.live.append(("", 0, self.now))
        self._credit = min(self._credit + self.speed * seconds, self.speed * seconds + 1)
        while self._credit >= 1 and self.live:
            self._credit -= 1
            key, wave, sent_at = self.live.popleft()
            if key:
                self.gone[key] += 1
                self.by_wave[wave][key][0] += 1
                if self.rng.random() < self.truths[key].rate(self.now):
                    self.late.append((self.now + self.delay, key, wave, sent_at))
        while self.late and self.late[0][0] <= self.now:
            _, key, wave, sent_at = self.late.popleft()
            self.by_wave[wave][key][1] += 1
            self.bounced[key] += 1
            self.bounces_of_sent_at.append((key, sent_at))


def drain(world: World, *, kill: float = 0.0, patience: float = 100_000.0) -> Decision:
    """Drain a world; with the chance `kill` a step is followed by a new process that has only the stored state."""
    controller = Controller.fresh(world.limits, world.selection)
    rng = random.Random(world.seed + 1)
    while world.now < patience:
        if rng.random() < kill:
            controller = Controller(world.limits, State.from_dict(json.loads(json.dumps(controller.state.as_dict()))))
        decision = controller.decide(world.seen(world.stopped))
        world.stopped = set(controller.stopped)
        if decision.action in {Action.DONE, Action.TRIP}:
            return decision
        if decision.action is Action.WAVE:
            sent = world.send(decision)
            if sent:
                controller.sent(sent, 1e9 + world.now)
                settled = sum(track.settled for track in controller.state.signatures.values())
                world.widest = max(world.widest, world.sent.total() - settled)
        world.pass_time(decision.seconds or world.limits.look)
    raise AssertionError("the drain did not end")


def oracle_seconds(world: World) -> float:
    """Say how long one takes that knows the truth: no canary, the consumers always busy, and one look at the end."""
    speed = min(world.speed - world.fresh, world.limits.rate or world.speed)
    return world.sent.total() / speed + world.limits.grace


def avoidable(world: World, key: str) -> int:
    """Count the bounces of a signature that were sent when its bounce rate was over the limit already."""
    truth = world.truths[key]
    return sum(
        bounced == key and truth.rate(sent_at) > world.limits.bounce for bounced, sent_at in world.bounces_of_sent_at
    )


def make(seed: int) -> World:
    """Draw a world."""
    rng = random.Random(seed)
    grace = rng.choice([1.0, 4.0, 10.0])
    speed = 10 ** rng.uniform(0.7, math.log10(400 / grace))
    count = rng.choice([1, 2, 3, 5, 8])
    # Long enough that the consumers' speed counts for more than the looks.
    size = int(min(max(rng.uniform(300, 3_000), speed * grace * rng.uniform(15, 30)), 12_000))
    expected = size / speed
    truths = {}
    for number in range(count):
        kind = rng.choice(["healthy", "healthy", "flaky", "poison", "half", "fixed", "dies"])
        turns = rng.uniform(0.1, 0.9) * expected
        before, after = {
            "healthy": (0.0, 0.0),
            "flaky": (0.05, 0.05),
            "poison": (1.0, 1.0),
            "half": (0.5, 0.5),
            "fixed": (0.9, 0.0),
            "dies": (0.0, 1.0),
        }[kind]
        truths[f"s{number}"] = Truth(rng.uniform(0.2, 1), before, after, turns)
    keys = list(truths)
    queue = rng.choices(keys, [truths[key].share for key in keys], k=size)
    if rng.random() < 0.3:  # failures of one cause often lie together
        queue.sort(key=keys.index)
    limits = Limits(
        grace=grace,
        ceiling=rng.choice([500, 2_000, 10_000]),
        lag=max(30.0, 4 * grace),
        rate=rng.choice([None, None, None, speed / 2]),
    )
    return World(
        truths,
        queue,
        speed,
        grace * rng.uniform(0, 0.9),
        speed * rng.choice([0.0, 0.0, 0.2]),
        limits,
        seed,
    )
