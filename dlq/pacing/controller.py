"""The adaptive pace: fed with what the consumers made of the waves so far, it says what to do next. Pure.

Each signature has a window, as a connection of TCP has: how many of its messages may be on their way, that is sent
and not yet known to have been delivered. It begins with the canary and grows by each delivered message, so it doubles
a round; the drain as a whole has one too. A signature in doubt (its bounces are over the limit, but not surely so)
has no more than a canary on its way; one whose bounces are surely over the limit is stopped. When consumers lag, the
drain's window is halved, and grows by one canary a round from then on.

Counts are cumulative, so seeing the same thing twice changes nothing. docs/decisions says why this test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.pacing.evidence import is_over, lower_bound, tail
from dlq.pacing.windows import Action, Decision, Seen, State, Track

if TYPE_CHECKING:
    from dlq.pacing.pace import Limits

Count = tuple[int, int, int]
"""Bounced, gone, and the wave from which on it was counted."""

_FLOOR = 10  # a lagging drain's window is not made smaller than this
_DOUBT = 0.1  # bounces that a rate at the limit would give less often than this are a reason to wait
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
        return cls(limits, State(canary, float(canary)))

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
        return self._next(seen) if seen.more else self._ending()

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
        for key in self._going():
            track = state.signatures[key]
            if track.bounced:
                counts = self._counts(seen, {key})
                track.stopped, track.doubt = self._surely(counts, limits.bounce), _doubtful(counts, limits.bounce)
        counts = self._counts(seen, self._going())
        state.doubt = _doubtful(counts, limits.total)
        if why := self._surely(counts, limits.total):
            return f"of all signatures together {why}"
        if (waited := seen.at - state.room_at) >= limits.stall:
            return f"the live queue was at its ceiling of {limits.ceiling:,} for {waited:.0f} s: {seen.live:,} messages"
        if (waited := seen.at - state.moved_at) >= limits.stall:
            return f"consumers took nothing for {waited:.0f} s; {seen.live:,} messages are in the live queue"
        return ""

    def _going(self) -> set[str]:
        return {key for key, track in self.state.signatures.items() if not track.stopped}

    def _counts(self, seen: Seen, keys: set[str]) -> list[Count]:
        """Count what bounced of what is gone: of everything, then of the last wave, the last two, and so on."""
        tracks = [self.state.signatures[key] for key in keys]
        bounced, gone = sum(track.bounced for track in tracks), sum(track.gone for track in tracks)
        found = [(bounced, max(gone, bounced), 1)]
        recent, bounced, gone = seen.recent if bounced else (), 0, 0
        for wave, counts in reversed(recent):
            for key in keys & counts.keys():
                gone += counts[key][0]
                bounced += counts[key][1]
            found.append((bounced, max(gone, bounced), wave))
        return found

    def _surely(self, counts: list[Count], limit: float) -> str:
        """Say why bounces are surely over the limit, counted from any wave on; empty when they are not."""
        for bounced, gone, wave in counts:
            if is_over(bounced, gone, limit, self.limits.alpha / (wave * (wave + 1))):
                least = lower_bound(bounced, gone, self.limits.alpha)
                return f"{bounced:,} of {gone:,} bounced: surely over {least:.0%}, and {limit:.0%} is the limit"
        return ""

    # pacing

    def _grow(self, seen: Seen) -> None:
        """Let the windows grow by what was delivered, and halve the drain's when consumers lag."""
        state, grown = self.state, 0
        used = sum(state.signatures[key].in_flight for key in self._going())
        for key, track in state.signatures.items():
            settled = track.gone - sum(gone.get(key, 0) for _, gone in state.trail)
            delivered, before = settled - track.settled, track.in_flight
            track.settled = settled
            if track.stopped or track.doubt or delivered <= 0:
                continue
            grown += delivered
            if before >= track.window / 2:  # a window that is not used proves nothing
                track.window += delivered
        if grown and used >= state.window / 2 and not state.doubt:
            state.window += grown * state.canary / state.window if state.steady else grown
        lagging = seen.live > self.limits.ceiling or (state.speed and self._waiting() / state.speed > self.limits.lag)
        if lagging and seen.at - state.cut_at >= self.limits.lag:
            state.window, state.steady, state.cut_at = max(float(_FLOOR), state.window / 2), True, seen.at

    def _ending(self) -> Decision:
        """All was sent: wait until all outcomes are known; without anything that went well the drain has failed."""
        if any(track.in_flight for track in self.state.signatures.values()):
            return Decision(Action.WAIT, seconds=self.limits.look, why="for the outcome of the last messages")
        if self.stopped and not self._going():
            self.state.tripped = "every signature that was sent was stopped"
            return Decision(Action.TRIP, why=self.state.tripped)
        return Decision(Action.DONE)

    def _next(self, seen: Seen) -> Decision:
        """Say how many messages go next, of which signatures; or what has to be waited for."""
        state, limits = self.state, self.limits
        in_flight = sum(state.signatures[key].in_flight for key in self._going())
        if in_flight and (state.doubt or sum(track.sent for track in state.signatures.values()) <= state.canary):
            return Decision(Action.WAIT, seconds=limits.look, why="for the outcome of what was sent")
        window = int(min(state.window, state.canary) if state.doubt else state.window)
        size = min(window - in_flight, limits.ceiling - seen.live)
        if size < max(1, min(window, limits.ceiling) // 4):
            return Decision(Action.WAIT, seconds=limits.look, why="for the consumers")
        if limits.rate is not None:
            if seen.at < state.next_at:
                return Decision(Action.WAIT, seconds=state.next_at - seen.at, why=f"to keep to {limits.rate:g}/s")
            size = min(size, max(state.canary, int(limits.rate * _RATE_WINDOW)))
        allowed = {key: self._allowed(state.signatures[key]) for key in state.signatures}
        return Decision(
            Action.WAVE, size, allowed, state.canary, least=min(size, state.canary // 4) if in_flight else 1
        )

    def _allowed(self, track: Track) -> int:
        if track.stopped:
            return 0
        window = min(track.window, self.state.canary) if track.doubt else track.window
        return max(0, int(window) - track.in_flight)


def _doubtful(counts: list[Count], limit: float) -> bool:
    return any(bounced > gone * limit and tail(bounced, gone, limit) <= _DOUBT for bounced, gone, _ in counts)
