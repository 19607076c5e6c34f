"""The adaptive pace: fed with what the consumers made of the waves so far, it says what to do next. Pure.

Each signature has a window, as a connection of TCP has: how many of its messages may be on their way, that is sent
and not yet known to have been delivered. It begins with the canary and grows by each delivered message, so it doubles
a round, until its outcomes prove that it is healthy: from then on the consumers' pace alone bounds it. A signature in
doubt (its bounces are over the limit, but not surely so) has no more than a canary on its way; one whose bounces are
surely over the limit is stopped.

What waits in the live queue is twice what consumers took since the last look: they are not idle, waves double from
look to look until they are busy, and little is there that might have to be taken back. When consumers lag, what is on
its way is halved, and may grow by one canary a round from then on.

Counts are cumulative, so seeing the same thing twice changes nothing. docs/decisions says why this test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.pacing import judging
from dlq.pacing.windows import Action, Decision, Seen, State, Track

if TYPE_CHECKING:
    from dlq.pacing.pace import Limits

_FLOOR = 10  # a lagging drain's window is not made smaller than this
_FULL_LOOK = 0.9  # consumers' pace is measured over this share of a look at least
_RATE_WINDOW = 1.0  # seconds' worth of a capped rate that go in one wave; no less than a canary, whose outcome tells


class Controller:
    """Decides about one drain, on top of a state that outlives it."""

    def __init__(self, limits: Limits, state: State) -> None:
        """Go on with a state; `fresh` begins one."""
        self.limits = limits
        self.state = state

    @classmethod
    def fresh(cls, limits: Limits, selection: int) -> Controller:
        """Begin with a drain of about `selection` messages."""
        canary = limits.canary(selection)
        return cls(limits, State(canary))

    @property
    def stopped(self) -> dict[str, str]:
        """Give the signatures that were stopped, and why."""
        return {key: track.stopped for key, track in self.state.signatures.items() if track.stopped}

    def decide(self, seen: Seen) -> Decision:
        """Take in what was seen, and say what to do next."""
        if self.state.tripped:
            return Decision(Action.TRIP, why=self.state.tripped)
        self._take_in(seen)
        if why := self._judge(seen):
            self.state.tripped = why
            return Decision(Action.TRIP, why=why)
        self._grow(seen)
        return self._next(seen) if seen.more else self._ending(seen)

    def sent(self, size: int, at: float) -> None:
        """Note that a wave of `size` messages went out: a capped rate counts from here."""
        if self.limits.rate is not None:
            self.state.next_at = max(self.state.next_at, at) + size / self.limits.rate
        self.state.moved_at = max(self.state.moved_at, at)

    # taking in

    def _take_in(self, seen: Seen) -> None:
        """Update the counts, and the consumers' speed."""
        state, elapsed = self.state, seen.at - self.state.seen_at
        waiting = self._waiting()
        news: dict[str, int] = {}
        for key, count in seen.sent.items():
            track = state.signatures.setdefault(key, Track(window=float(state.canary)))
            gone = seen.gone.get(key, 0)
            if gone > track.gone:
                news[key] = gone - track.gone
            track.sent, track.gone, track.bounced = count, max(gone, track.gone), seen.bounced.get(key, 0)
        if news or not self._waiting():
            state.moved_at = seen.at
        state.taken += sum(news.values())
        if seen.at - state.took_at >= _FULL_LOOK * self.limits.look:
            # Consumers that took all there was could have taken more.
            state.pull = state.taken if self._waiting() else max(state.pull, state.taken)
            state.taken, state.took_at = 0, seen.at
        if waiting and self._waiting() and elapsed > 0:
            state.speed += (sum(news.values()) / elapsed - state.speed) * (0.3 if state.speed else 1.0)
        if seen.live < self.limits.ceiling or not state.seen_at:
            state.room_at = seen.at
        state.seen_at = seen.at
        state.trail = [look for look in state.trail if look[0] > seen.at - self.limits.grace]
        if news:
            state.trail.append((seen.at, news))

    def _waiting(self) -> int:
        return sum(track.sent - track.gone for track in self.state.signatures.values())

    # judging

    def _judge(self, seen: Seen) -> str:
        """Stop the signatures whose bounces are surely over the limit, note those in doubt; say why to stop all."""
        state, limits = self.state, self.limits
        for key, track in self._going().items():
            if track.bounced:
                counts = judging.count(seen, {key: track})
                track.stopped = judging.surely(counts, limits.bounce, limits.alpha)
                track.stopped = track.stopped or judging.costly(counts, limits.bounce, state.canary)
                track.doubt = judging.doubtful(counts, limits.bounce)
        if going := self._going():
            counts = judging.count(seen, going)
            state.doubt = judging.doubtful(counts, limits.total)
            if why := judging.surely(counts, limits.total, limits.alpha):
                return f"of all signatures together {why}"
        if (waited := seen.at - state.room_at) >= limits.stall:
            return f"the live queue was at its ceiling of {limits.ceiling:,} for {waited:.0f} s: {seen.live:,} messages"
        if (waited := seen.at - state.moved_at) >= limits.stall:
            return f"consumers took nothing for {waited:.0f} s; {seen.live:,} messages are in the live queue"
        return ""

    def _going(self) -> dict[str, Track]:
        return {key: track for key, track in self.state.signatures.items() if not track.stopped}

    # pacing

    def _grow(self, seen: Seen) -> None:
        """Let the windows grow by what was delivered, and halve the drain's when consumers lag."""
        state, grown = self.state, 0
        used = self._in_flight()
        for key, track in state.signatures.items():
            settled = track.gone - sum(gone.get(key, 0) for _, gone in state.trail)
            delivered, before = settled - track.settled, track.in_flight
            track.settled = settled
            if track.stopped or track.doubt or delivered <= 0:
                continue
            grown += delivered
            if before >= track.window / 2:  # a window that is not used proves nothing
                track.window += delivered
            track.proven = track.proven or judging.proven(seen, key, track, self.limits.bounce)
        if state.window is not None and grown and used >= state.window / 2 and not state.doubt:
            state.window += grown * state.canary / state.window
        lagging = seen.live > self.limits.ceiling or (state.speed and self._waiting() / state.speed > self.limits.lag)
        if lagging and seen.at - state.cut_at >= self.limits.lag:
            window = used if state.window is None else state.window
            state.window, state.cut_at = max(float(_FLOOR), window / 2), seen.at

    def _in_flight(self) -> int:
        return sum(track.in_flight for track in self._going().values())

    def _ending(self, seen: Seen) -> Decision:
        """All was sent: wait until all outcomes are known; without anything that went well the drain has failed."""
        if any(track.in_flight for track in self.state.signatures.values()):
            return self._wait(seen, "for the outcome of the last messages")
        if self.stopped and not self._going():
            self.state.tripped = "every signature that was sent was stopped"
            return Decision(Action.TRIP, why=self.state.tripped)
        return Decision(Action.DONE)

    def _next(self, seen: Seen) -> Decision:
        """Say how many messages go next, of which signatures; or what has to be waited for."""
        state, limits = self.state, self.limits
        in_flight = self._in_flight()
        if in_flight and (state.doubt or sum(track.sent for track in state.signatures.values()) <= state.canary):
            return self._wait(seen, "for the outcome of what was sent")
        stock = max(state.canary, 2 * state.pull)
        window = stock if state.window is None else int(state.window)
        if state.doubt:
            window = min(window, state.canary)
        size = min(stock - self._waiting(), limits.ceiling - seen.live)
        if state.doubt or state.window is not None:
            size = min(size, window - in_flight)
        if size < max(1, min(stock, window, limits.ceiling) // 4):
            return Decision(Action.WAIT, seconds=limits.look, why="for the consumers")
        if limits.rate is not None:
            if seen.at < state.next_at:
                return Decision(Action.WAIT, seconds=state.next_at - seen.at, why=f"to keep to {limits.rate:g}/s")
            size = min(size, max(state.canary, int(limits.rate * _RATE_WINDOW)))
        allowed = {key: self._allowed(track, size) for key, track in state.signatures.items()}
        least = min(size, state.canary // 4) if in_flight else 1
        return Decision(Action.WAVE, size, allowed, state.canary, least, self._until_outcome(seen))

    def _allowed(self, track: Track, size: int) -> int:
        if track.stopped:
            return 0
        if track.doubt:
            return max(0, min(int(track.window), self.state.canary) - track.in_flight)
        return size if track.proven else max(0, int(track.window) - track.in_flight)

    def _wait(self, seen: Seen, why: str) -> Decision:
        return Decision(Action.WAIT, seconds=self._until_outcome(seen), why=why)

    def _until_outcome(self, seen: Seen) -> float:
        """Give the seconds to the next look, which comes as soon as the next outcome is known."""
        look, trail = self.limits.look, self.state.trail
        due = trail[0][0] + self.limits.grace - seen.at if trail else look
        return min(look, max(look / 4, due))
