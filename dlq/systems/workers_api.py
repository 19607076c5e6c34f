"""The workers' own API: `GET /internal/health`, and `POST /internal/workers/config {"concurrency": N}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlq.errors import WorkersError, WorkersSilentError
from dlq.redaction import redact

if TYPE_CHECKING:
    import httpx

    from dlq.config.settings import Settings

NOT_CONFIGURED = "not configured: set DLQ_WORKERS_URL"
HEALTH = "/internal/health"
CONFIG = "/internal/workers/config"
_LONGEST = 300
_BROKEN = 500
_NAMES = ("previous", "previous_concurrency", "previousConcurrency")


@dataclass(frozen=True, slots=True)
class Health:
    """What the workers say of themselves; None: nobody answered, and `note` says why. `checks` are its parts."""

    healthy: bool | None
    note: str
    checks: dict[str, str]


class WorkersApi:
    """Talks to the workers' API. `WorkersApi.of(settings)` gives None where it is not configured."""

    def __init__(self, client: httpx.Client) -> None:
        """Take the HTTP client, with address and authentication."""
        self._client = client
        self.shown = redact(str(client.base_url)).rstrip("/")

    @classmethod
    def of(cls, settings: Settings) -> WorkersApi | None:
        """Make the client that the settings describe. Nothing is sent yet."""
        if settings.workers_url is None:
            return None
        import httpx  # noqa: PLC0415 - an import of a tenth of a second

        token = settings.workers_token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        url = settings.workers_url.get_secret_value()
        return cls(httpx.Client(base_url=url, headers=headers, timeout=settings.workers_timeout, trust_env=False))

    def health(self) -> Health:
        """Ask for the health; never raises. An answer of 5xx, or one that says so, is not healthy."""
        import httpx  # noqa: PLC0415

        try:
            answer = self._client.get(HEALTH)
        except httpx.HTTPError as exc:
            return Health(None, f"{HEALTH} does not answer ({type(exc).__name__})", {})
        if not answer.is_success and answer.status_code < _BROKEN:
            return Health(None, f"{HEALTH} answers {answer.status_code}", {})
        said = _object(answer)
        checks = _checks(said)
        status = str(said.get("status", "")).lower()
        healthy = answer.is_success and status not in ("error", "fail", "failed", "unhealthy", "down", "degraded")
        failing = ", ".join(f"{name} {text}" for name, text in checks.items() if not _is_fine(text))
        note = f"{HEALTH} answers {answer.status_code}" + (f", {status}" if status else "")
        return Health(healthy and not failing, f"{note}; {failing}" if failing else note, checks)

    def concurrency(self) -> int | None:
        """Ask for the present concurrency; None where the API does not tell it."""
        answer = self._send("GET")
        return _whole(_object(answer).get("concurrency")) if answer.is_success else None

    def set_concurrency(self, count: int) -> int | None:
        """Set the concurrency; return the one from before where the API tells it. WorkersError when refused."""
        answer = self._send("POST", {"concurrency": count})
        if answer.status_code >= _BROKEN:
            raise WorkersSilentError(f"The workers' API answers {answer.status_code}", place=self.shown)
        if not answer.is_success:
            raise WorkersError(f"The workers' API answers {answer.status_code} to a concurrency", place=self.shown)
        said = _object(answer)
        return next((found for name in _NAMES if (found := _whole(said.get(name))) is not None), None)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _send(self, method: str, body: dict[str, int] | None = None) -> httpx.Response:
        import httpx  # noqa: PLC0415

        try:
            return self._client.request(method, CONFIG, json=body)
        except httpx.HTTPError as exc:
            raise WorkersSilentError(
                f"The workers' API does not answer ({type(exc).__name__})", place=self.shown
            ) from exc


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _checks(said: dict[str, Any]) -> dict[str, str]:
    """Read the parts of a health answer: `{"checks": {"database": "ok"}}`, flat or with a status inside."""
    parts: dict[str, Any] = next(
        (said[name] for name in ("checks", "components", "details") if isinstance(said.get(name), dict)), {}
    )
    texts = {str(name): part.get("status", "") if isinstance(part, dict) else part for name, part in parts.items()}
    return {name[:80]: redact(str(text))[:_LONGEST] for name, text in texts.items()}


def _is_fine(text: str) -> bool:
    return text.lower() in ("ok", "up", "pass", "healthy", "true", "connected", "")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
