"""What the counts of bounces say about a signature, or about all: over the limit, under it, or not clear yet. Pure.

Counted is everything since the start, and each stretch of waves up to any later one, so that a change shows though
thousands were delivered before; of the newest waves the bounces are still to come, and without them it shows earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlq.pacing.evidence import is_over, is_under, lower_bound, tail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from dlq.pacing.windows import Seen, Track

Count = tuple[int, int, int]
"""Bounced, gone, and the wave from which on it was counted; the first one of several is of everything."""

_DOUBT = 0.1  # bounces that a rate at the limit would give less often than this are a reason to wait
_DOUBT_OF_PART = 0.01  # the same for a stretch of waves: there are many
_COSTLY = 0.003  # and this, once as many as a canary have bounced, is a reason to stop
_PROVEN = 0.25  # being wrong costs no more than what is on its way
_PROVEN_PART = 0.1


def count(seen: Seen, tracks: Mapping[str, Track]) -> list[Count]:
    """Count what bounced of what is gone, of some signatures together."""
    bounced, gone = (sum(row) for row in zip(*((track.bounced, track.gone) for track in tracks.values()), strict=True))
    found = [(bounced, max(gone, bounced), 1)]
    if not bounced:
        return found
    stretches = [(wave, *_total(counts, tracks.keys())) for wave, counts in seen.stretches]
    for first, (wave, _, _) in enumerate(stretches):
        gone = bounced = 0
        for _, more_gone, more_bounced in stretches[first:]:
            gone, bounced = gone + more_gone, bounced + more_bounced
            if more_bounced:
                found.append((bounced, max(gone, bounced), wave))
    return found


def surely(counts: list[Count], limit: float, alpha: float) -> str:
    """Say why bounces are surely over the limit; empty when they are not."""
    for bounced, gone, wave in counts:
        if is_over(bounced, gone, limit, alpha / (wave * (wave + 1))):
            least = lower_bound(bounced, gone, alpha)
            return f"{bounced:,} of {gone:,} bounced: surely over {least:.0%}, and {limit:.0%} is the limit"
    return ""


def costly(counts: list[Count], limit: float, canary: int) -> str:
    """Say why bounces that are very likely over the limit may not cost more; empty when they may."""
    for bounced, gone, _ in counts:
        if bounced >= canary and _less_likely(bounced, gone, limit, _COSTLY):
            return f"{bounced:,} of {gone:,} bounced: as many as a canary, and {limit:.0%} is the limit"
    return ""


def doubtful(counts: list[Count], limit: float) -> bool:
    """Say whether bounces are a reason to wait: those of everything, and by a stricter measure those of a stretch."""
    return any(
        _less_likely(bounced, gone, limit, _DOUBT_OF_PART if part else _DOUBT)
        for part, (bounced, gone, _) in enumerate(counts)
    )


def proven(seen: Seen, key: str, track: Track, limit: float) -> bool:
    """Say whether what was delivered proves a rate under the limit: all of it, or all since one of the waves."""
    if is_under(track.bounced, track.settled, limit, _PROVEN):
        return True
    unsettled = track.gone - track.settled
    gone = bounced = 0
    for _, counts in reversed(seen.stretches):
        more_gone, more_bounced = counts.get(key, (0, 0))
        gone, bounced = gone + more_gone, bounced + more_bounced
        if gone > unsettled and is_under(bounced, gone - unsettled, limit, _PROVEN_PART):
            return True
    return False


def _less_likely(bounced: int, gone: int, limit: float, chance: float) -> bool:
    """Say whether a rate at the limit would give so many bounces with less than some chance."""
    return bounced > gone * limit and tail(bounced, gone, limit) <= chance


def _total(counts: Mapping[str, tuple[int, int]], keys: AbstractSet[str]) -> tuple[int, int]:
    rows = [counts[key] for key in keys & counts.keys()]
    return sum(gone for gone, _ in rows), sum(bounced for _, bounced in rows)
