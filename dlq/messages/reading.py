"""Everything that is needed to read the messages of one queue, put together once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlq.errors import ConfigError
from dlq.messages.envelope import EnvelopeReader
from dlq.messages.fastlane import Fastlane
from dlq.messages.identity import Identifier
from dlq.messages.signatures import SignatureBook

if TYPE_CHECKING:
    from dlq.config.settings import QueueConfig


@dataclass(frozen=True, slots=True)
class Reading:
    """The reader, identifier, signature book and fast lane of a queue."""

    reader: EnvelopeReader
    identifier: Identifier
    book: SignatureBook
    lane: Fastlane

    @classmethod
    def of(cls, config: QueueConfig) -> Reading:
        """Build from a queue's settings; reads the queue's JSON Schema, if it names one."""
        schema = None
        if config.schema_file is not None:
            try:
                schema = json.loads(Path(config.schema_file).read_text(encoding="utf-8"))
            except (OSError, ValueError) as exc:
                raise ConfigError(
                    f"queue {config.name}: the JSON Schema {config.schema_file} cannot be read: {exc}"
                ) from exc
        reader = EnvelopeReader(config.fields, schema)
        identifier = Identifier(config.fields)
        book = SignatureBook()
        return cls(reader, identifier, book, Fastlane(reader, identifier, book))
