"""Dead letters for tests of what stands around the engine."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any


def dead_letters(count: int, **more: Any) -> list[bytes]:
    """Make messages of two types, the first one oldest; `more` are further fields of each."""
    began = datetime.now(UTC) - timedelta(hours=2)
    return [
        json.dumps(
            {
                "id": f"m-{number}",
                "type": ("webhook", "email")[number % 2],
                "error": f"TimeoutError: gateway timed out after {number} ms",
                "retryCount": 5,
                "failedAt": (began + timedelta(seconds=number)).isoformat(),
                "payload": {"n": number},
                **more,
            }
        ).encode()
        for number in range(count)
    ]
