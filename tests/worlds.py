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
from dlq.pacing.tallies import GONE, Tallies
from dlq.pacing.windows import Action, Decision, Seen, State

_ERROR = 0.25  # the chance to take a signature for healthy that is not: that costs one wave


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
    bounces_of_sent_at: list[tuple[str, float]] = field(default_factory=list)
    waves: list[tuple[float, int]] = field(default_factory=list)
    tallies: Tallies = field(default_factory=Tallies)
    stopped: set[str] = field(default_factory=set)
    passed: list[bool] = field(default_factory=list)
    """Of each message of the queue so far, whether it was sent."""
    longest: int = 0
    widest: Counter[str] = field(default_factory=Counter)
    """The most messages of each signature that were on their way at once: sent, and not surely delivered."""
    _credit: float = 0.0
    _fresh: float = 0.0

    def __post_init__(self) -> None:
        """Make the randomness of the consumers."""
        self.rng = random.Random(self.seed)
        self.selection = len(self.queue)
        self._next = 0

    @property
    def pull(self) -> float:
        """Give how many of the drain's messages the consumers take a second."""
        return min(self.speed - self.fresh, self.limits.rate or self.speed)

    def seen(self, stopped: set[str]) -> Seen:
        """Look at the outcome so far."""
        self.tallies.fold({wave for _, wave, _ in self.live if wave})
        more = any(self.queue[i] not in stopped for i in range(self._next, min(self._next + 500, len(self.queue))))
        return Seen(
            1e9 + self.now,
            len(self.live),
            more or self._next + 500 < len(self.queue),
            self.tallies.sent,
            self.tallies.gone,
            self.tallies.bounced,
            self.tallies.stretches,
        )

    def send(self, decision: Decision) -> int:
        """Send the longest prefix of what is left that the decision allows; return how many messages."""
        used, place, batch = Counter[str](), self._next, list[tuple[str, int, float]]()
        wave, passed = len(self.waves) + 1, list[bool]()
        while place < len(self.queue) and len(batch) < decision.size:
            key = self.queue[place]
            allowed = decision.allowed.get(key, decision.others)
            if used[key] >= allowed and not self._is_stopped(key):
                break
            place += 1
            passed.append(not self._is_stopped(key))
            if self._is_stopped(key):
                continue
            used[key] += 1
            batch.append((key, wave, self.now))
        if len(batch) < decision.least and place < len(self.queue):
            return 0
        self._next, size = place, len(batch)
        self.passed += passed
        self.live.extend(batch)
        self.sent.update(used)
        self.longest = max(self.longest, len(self.live))
        if size:
            self.waves.append((self.now, size))
            self.tallies.waves[str(wave)] = {key: [count, 0, 0] for key, count in used.items()}
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
                self.tallies.waves[str(wave)][key][GONE] += 1
                if self.rng.random() < self.truths[key].rate(self.now):
                    self.late.append((self.now + self.delay, key, wave, sent_at))
        while self.late and self.late[0][0] <= self.now:
            _, key, wave, sent_at = self.late.popleft()
            self.tallies.bounce(wave, key)
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
        seconds = decision.seconds
        if decision.action is Action.WAVE:
            sent = world.send(decision)
            if sent:
                seconds = 0.01
                controller.sent(sent, 1e9 + world.now)
                for key, track in controller.state.signatures.items():
                    world.widest[key] = max(world.widest[key], world.sent[key] - track.settled)
        world.pass_time(seconds)
    raise AssertionError(f"the drain of world {world.seed} did not end")


def oracle_seconds(world: World) -> float:
    """Say how long one takes that knows the truth: no canary, the consumers always busy, and one look at the end."""
    return world.sent.total() / world.pull + world.limits.grace


def careful_seconds(world: World) -> float:
    """Say how long the same messages take one that knows the truth, but may not rely on it before it has shown.

    It sends in order, and no more than a canary until outcomes are known: at first of all, then of each signature. An
    outcome is known a grace time after the consumers have taken a message; of what is bad, when it has bounced, and
    enough of it to be told from what is good; and it is seen at the next look. Consumers are idle only for that.
    """
    canary, now, taken = world.limits.canary(world.selection), 0.0, list[float]()
    look = world.limits.look
    times: dict[str, list[float]] = {key: [] for key in world.truths}
    for key, was_sent in zip(world.queue, world.passed, strict=False):
        mine, (needed, wait) = times[key], _to_be_shown(world, key, canary)
        if not was_sent:
            now = max(now, mine[min(needed, len(mine)) - 1] + wait + look) if mine else now
            continue
        if canary <= len(taken) < 2 * canary:
            now = max(now, taken[len(taken) - canary] + world.limits.grace + look)
        if canary <= len(mine) < max(needed, 2 * canary):
            now = max(now, mine[len(mine) - canary] + wait + look)
        now += 1 / world.pull
        mine.append(now)
        taken.append(now)
    return now + world.limits.grace + look


def _to_be_shown(world: World, key: str, canary: int) -> tuple[int, float]:
    """Give how many messages of a signature have to be seen to judge it, and for how long after they were taken.

    Rates on two sides of the limit are told apart, with some chance of an error, by log(1/chance)/D messages on the
    average at least (Wald), where D is the information that one message gives.
    """
    limit, truth = world.limits.bounce, world.truths[key]
    if key not in world.stopped:
        return max(canary, _messages(min(truth.before, truth.after), limit, _ERROR)), world.limits.grace
    return _messages(max(truth.before, truth.after), limit, world.limits.alpha), world.delay


def _messages(rate: float, limit: float, error: float) -> int:
    parts = ((rate, limit), (1 - rate, 1 - limit))
    return math.ceil(-math.log(error) / sum(share * math.log(share / other) for share, other in parts if share))


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
    speed = 10 ** rng.uniform(0.7, math.log10(4_000 / grace))
    count = rng.choice([1, 2, 3, 5, 8])
    size = int(min(max(rng.uniform(300, 3_000), speed * grace * 10 ** rng.uniform(-1, 1.5)), 12_000))
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
