"""The durable record of what a run did with each message: its records, and how entries are packed."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER = struct.Struct("<IIiIQ")
"""A batch's header: scanned, kept, arrived since the batch before (signed), wave, epoch milliseconds."""
ENTRY = struct.Struct("<cH8s8s")
"""A message's entry, 19 bytes: action, signature code, fingerprint of the bytes pushed, identity."""
ENTRY_BYTES = ENTRY.size
ENTRY_COLUMNS = [("action", "u1"), ("code", "<u2"), ("fingerprint", "<u8"), ("identity", "<u8")]
"""The same layout for numpy. A rollback's entries have the place of the original in `identity` (see ORIGINAL)."""
ORIGINAL = struct.Struct("<II")
"""Where a kept original lies: batch sequence, entry in it."""

CLOSED = frozenset({"done", "tripped", "rolled_back"})
"""States that a run does not leave; one that is `running` or `stopped` may be gone on with."""
MAYBE_DUPLICATED = "maybe_duplicated"
"""The fact of a run that counts messages which may have been delivered twice."""
DUPLICATE = "x-dlq-drain-duplicate"
"""The header by which consumers know such messages; its value is the run."""
_COUNTERS = ("scanned", "kept", "redriven", "edited", "quarantined", "dropped", "rolled_back", "vanished")


def doubt(maybe_duplicated: int) -> str:
    """Tell people of messages that may be there twice; empty when there are none."""
    if not maybe_duplicated:
        return ""
    return (
        f"{maybe_duplicated:,} messages were under way when a process or connection died and may be there twice;"
        f" they have the header {DUPLICATE}"
    )


def fingerprint(message: bytes) -> bytes:
    """Digest the exact bytes of a message into 8 bytes."""
    return xxhash.xxh3_64_digest(message)


def entry_prefix(action: bytes, code: int) -> bytes:
    """Pack the first three bytes of a ledger entry."""
    return action + code.to_bytes(2, "little")


def pack_signature(signature: tuple[str, str, str]) -> str:
    """Write a signature as the ledger keeps it."""
    return json.dumps(signature)


def unpack_signatures(texts: Mapping[int, str]) -> dict[int, tuple[str, str, str]]:
    """Read the signatures of a ledger, by code: (type, error class, text)."""
    return {code: tuple(json.loads(text)) for code, text in texts.items()}


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """One committed batch: its header and packed entries, oldest message first."""

    sequence: int
    scanned: int
    kept: int
    arrived: int
    wave: int
    at: datetime
    entries: bytes

    @classmethod
    def unpack(cls, sequence: int, blob: bytes) -> LedgerBatch:
        """Read a batch as the broker keeps it."""
        scanned, kept, arrived, wave, at = HEADER.unpack_from(blob)
        when = datetime.fromtimestamp(at / 1000, UTC)
        return cls(sequence, scanned, kept, arrived, wave, when, blob[HEADER.size :])

    def __iter__(self) -> Iterator[tuple[bytes, int, bytes, bytes]]:
        """Yield (action, signature code, fingerprint, identity) of each message."""
        return ENTRY.iter_unpack(self.entries)

    def __len__(self) -> int:
        """Count the messages that were not kept."""
        return len(self.entries) // ENTRY_BYTES


RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger has it. Counts are messages; times are aware, in UTC."""

    run_id: str
    queue: str
    kind: str
    state: str
    who: str
    reason: str
    parameters: dict[str, Any]
    started_at: datetime | None
    ended_at: datetime | None
    step: int
    frozen: int
    remaining: int
    depth: int
    sequence: int
    wave: int
    wave_selected: int
    scanned: int
    kept: int
    redriven: int
    edited: int
    quarantined: int
    dropped: int
    rolled_back: int
    vanished: int
    facts: dict[str, str]

    @property
    def running(self) -> bool:
        """Say whether the run is not closed yet."""
        return self.state == RUNNING

    @property
    def selected(self) -> int:
        """Count the messages that the run did something with."""
        return self.redriven + self.quarantined + self.dropped

    @property
    def maybe_duplicated(self) -> int:
        """Count the messages that may be there twice, of which one is marked: only brokers with confirms have such."""
        return int(self.facts.get(MAYBE_DUPLICATED) or 0)

    @property
    def undoes(self) -> str | None:
        """Name the run that this one takes back, if it is a rollback."""
        return self.facts.get("undoes") or None

    @classmethod
    def from_fields(cls, run_id: str, raw: Mapping[str, str]) -> RunRecord:
        """Read a record from the text fields that a broker keeps."""
        known = {f.name for f in fields(cls)} | {"pass", "parameters", "updated_at"}
        return cls(
            run_id=run_id,
            queue=raw.get("queue", ""),
            kind=raw.get("kind", ""),
            state=raw.get("state", ""),
            who=raw.get("who", ""),
            reason=raw.get("reason", ""),
            parameters=json.loads(raw.get("parameters") or "{}"),
            started_at=_moment(raw.get("started_at")),
            ended_at=_moment(raw.get("ended_at")),
            step=int(raw.get("pass") or 0),
            frozen=int(raw.get("frozen") or 0),
            remaining=max(0, int(raw.get("remaining") or 0)),
            depth=int(raw.get("depth") or 0),
            sequence=int(raw.get("sequence") or 0),
            wave=int(raw.get("wave") or 0),
            wave_selected=int(raw.get("wave_selected") or 0),
            **{name: int(raw.get(name) or 0) for name in _COUNTERS},
            facts={name: value for name, value in raw.items() if name not in known},
        )


def _moment(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
