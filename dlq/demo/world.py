"""A seeded generator of believable dead letters, which also knows what must become of each."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import orjson

from dlq.demo.causes import CAUSES, SHARES, Cause, number_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from dlq.demo.lists import Lists

CORRUPTED_SHARE: Final = 0.02
POISON_SHARE: Final = 0.01
_WORDS: Final = (
    "order", "retry", "customer", "north", "invoice", "plan", "yearly", "upgrade",
    "batch", "window", "region", "export", "segment", "holdout", "cohort", "refund",
    "address", "partial", "shipment", "ledger", "tax", "note", "priority", "review",
)  # fmt: skip


class Fate(StrEnum):
    """What must have become of a message at the end."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    CORRUPTED = "corrupted"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `id` is None where it is corrupted; `at` is when it failed; poison fails every time."""

    raw: bytes
    id: str | None
    fate: Fate
    at: datetime
    poison: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """All letters by queue, oldest first, and the truth about them."""

    letters: dict[str, tuple[Letter, ...]]

    def __len__(self) -> int:
        """Count the messages of all queues."""
        return sum(map(len, self.letters.values()))

    def fates_by_bytes(self, queue: str) -> Counter[tuple[bytes, Fate]]:
        """Count the messages of a queue by their exact bytes and fate: equal messages count more than once."""
        return Counter((letter.raw, letter.fate) for letter in self.letters[queue])

    def fates_by_id(self, queue: str) -> dict[str, Fate]:
        """Give the fate of each message of a queue that can be read, by its id."""
        return {letter.id: letter.fate for letter in self.letters[queue] if letter.id is not None}

    def failing(self, queue: str) -> list[str]:
        """List the ids that the queue's workers must fail."""
        return [ident for ident, fate in self.fates_by_id(queue).items() if fate is Fate.BOUNCED]

    def fill(self, lists: Lists, queue: str, name: str) -> None:
        """Push a queue's letters to the list of a name, oldest first, so that the oldest is consumed first."""
        lists.push(name, [letter.raw for letter in self.letters[queue]])


def make_world(messages: int, seed: int, now: datetime) -> World:
    """Generate `messages` dead letters for the three queues; the same arguments give the same bytes."""
    letters = {}
    for queue, causes in CAUSES.items():
        rng = random.Random(f"{seed}/{queue}")
        weights = list(accumulate(cause.share for cause in causes))
        made = [_letter(rng, queue, causes, weights, now) for _ in range(_count(messages, queue))]
        letters[queue] = tuple(sorted(made, key=lambda letter: letter.at))
    return World(letters)


def _count(messages: int, queue: str) -> int:
    """Give a queue's part of all messages; the first queue takes what rounding leaves."""
    parts = {name: int(messages * share) for name, share in SHARES.items()}
    first = next(iter(parts))
    parts[first] += messages - sum(parts.values())
    return parts[queue]


def _letter(rng: Random, queue: str, causes: tuple[Cause, ...], weights: list[float], now: datetime) -> Letter:
    cause = rng.choices(causes, cum_weights=weights)[0]
    at = now - timedelta(hours=cause.age(rng))
    body = _BODIES[queue](rng, cause, at)
    raw = orjson.dumps(body)
    if rng.random() < CORRUPTED_SHARE:
        return Letter(rng.choice(_DAMAGES)(rng, raw, body), None, Fate.CORRUPTED, at)
    poison = rng.random() < POISON_SHARE
    bounces = poison or rng.random() < cause.refails
    return Letter(raw, body["id"], Fate.BOUNCED if bounces else Fate.DELIVERED, at, poison)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _note(rng: Random) -> str:
    return " ".join(rng.choices(_WORDS, k=int(rng.random() * 30) + 12))


def _webhook(rng: Random, cause: Cause, at: datetime) -> dict[str, Any]:
    return {
        "id": number_id(rng, "evt_"),
        "type": rng.choice(cause.types),
        "payload": {
            "customer": f"cus_{int(rng.random() * 90_000)}",
            "amount": round(rng.uniform(1, 900), 2),
            "currency": rng.choice(("EUR", "USD", "GBP")),
            "note": _note(rng),
        },
        "attempts": rng.choice((3, 5, 5, 5, 8)),
        "error": f"{cause.error_class}: {cause.text(rng)}",
        "failedAt": _stamp(at),
    }


def _job(rng: Random, cause: Cause, at: datetime) -> dict[str, Any]:
    return {
        "id": number_id(rng, "job_"),
        "type": rng.choice(cause.types),
        "args": {"tenant": int(rng.random() * 4_000), "dry": False, "notes": _note(rng)},
        "retryCount": rng.choice((5, 5, 10, 25)),
        "error": {"class": cause.error_class, "message": cause.text(rng)},
        "failedAt": _stamp(at),
        "host": f"job-worker-{int(rng.random() * 20)}",
    }


def _experiment(rng: Random, cause: Cause, at: datetime) -> dict[str, Any]:
    return {
        "id": number_id(rng, "exp_"),
        "type": rng.choice(cause.types),
        "experiment": f"pricing-{int(rng.random() * 40)}",
        "unit": number_id(rng, "u_"),
        "context": {"country": rng.choice(("DE", "FR", "PL", "SE")), "tags": _note(rng)},
        "attempts": rng.choice((2, 3, 3)),
        "error": f"{cause.error_class}: {cause.text(rng)}",
        "failedAt": _stamp(at),
    }


_BODIES: Final[dict[str, Callable[[Random, Cause, datetime], dict[str, Any]]]] = {
    "webhooks": _webhook,
    "jobs": _job,
    "experiments": _experiment,
}


def _truncated(rng: Random, raw: bytes, _body: dict[str, Any]) -> bytes:
    return raw[: int(len(raw) * rng.uniform(0.2, 0.95))]


def _not_utf8(rng: Random, raw: bytes, _body: dict[str, Any]) -> bytes:
    place = int(len(raw) * rng.uniform(0.2, 0.8))
    return raw[:place] + b"\xff\xfe\x80" + raw[place:]


def _empty(_rng: Random, _raw: bytes, _body: dict[str, Any]) -> bytes:
    return b""


def _bare_string(_rng: Random, _raw: bytes, body: dict[str, Any]) -> bytes:
    return orjson.dumps(body["id"])


def _no_type(_rng: Random, _raw: bytes, body: dict[str, Any]) -> bytes:
    return orjson.dumps({key: value for key, value in body.items() if key != "type"})


_DAMAGES: Final = (_truncated, _not_utf8, _empty, _bare_string, _no_type)
