"""A workers' API for tests: it keeps a concurrency, tells its health, and can be told to fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.web_fake import Answer, Asked


@dataclass
class WorkersFake:
    """What the API knows, and how it is to answer. `tells`: GET config and the previous value are there."""

    concurrency: int = 5
    tells: bool = True
    health: Answer = field(default_factory=lambda: Answer(200, {"status": "ok", "checks": {"database": "ok"}}))
    posts: list[Any] = field(default_factory=list)
    broken: Answer | None = None

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        if asked.path == "/internal/health":
            return self.health
        if asked.path != "/internal/workers/config":
            return Answer(404, {})
        if self.broken is not None:
            return self.broken
        if asked.method == "GET":
            return Answer(200, {"concurrency": self.concurrency}) if self.tells else Answer(404, {})
        before, self.concurrency = self.concurrency, asked.json["concurrency"]
        self.posts.append(asked.json)
        return Answer(200, {"concurrency": self.concurrency, **({"previous": before} if self.tells else {})})
