"""The connection to Prometheus: authentication, time limits, tries, and what its answers mean."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from dlq.config.metric_queries import PART
from dlq.errors import DlqError
from dlq.redaction import redact

if TYPE_CHECKING:
    from prometheus_api_client.prometheus_connect import PrometheusConnect
    from requests import Response

    from dlq.config.settings import Settings

_TRY_AGAIN = (429, 502, 503, 504)
_UNAUTHORIZED = (401, 403)


class WireError(DlqError):
    """Prometheus gave no answer that can be used."""

    def __init__(self, detail: str, *, silent: bool = False) -> None:
        """Say what happened; `silent` when the server did not answer at all."""
        super().__init__(detail)
        self.silent = silent


class Wire:
    """Asks one Prometheus. Errors are WireError, without the server's own words: those may hold anything."""

    def __init__(self, client: PrometheusConnect, shown: str) -> None:
        """Take the client and the address for display; `Wire.of` makes both."""
        self._client = client
        self.shown = shown
        self._status = 0
        session = client._session  # noqa: SLF001 - the client hides the status in a text, its session tells it
        session.hooks["response"].append(self._note_status)

    @classmethod
    def of(cls, settings: Settings) -> Wire | None:
        """Make the connection that the settings describe, None when there is no address. Nothing is sent yet."""
        if settings.prometheus_url is None:
            return None
        from prometheus_api_client.prometheus_connect import PrometheusConnect  # noqa: PLC0415 - half a second
        from requests import Session  # noqa: PLC0415
        from urllib3.util.retry import Retry  # noqa: PLC0415

        session = Session()
        session.trust_env = False  # a proxy or a .netrc of the user's is not what the settings say
        session.verify = str(settings.prometheus_ca) if settings.prometheus_ca else True
        if settings.prometheus_cert:
            key = settings.prometheus_key or settings.prometheus_cert
            session.cert = (str(settings.prometheus_cert), str(key))
        if settings.prometheus_token:
            session.headers["Authorization"] = f"Bearer {settings.prometheus_token.get_secret_value()}"
        if settings.prometheus_user:
            password = settings.prometheus_password
            session.auth = (settings.prometheus_user, password.get_secret_value() if password else "")
        retry = Retry(
            total=settings.prometheus_retries,
            backoff_factor=0.2,
            status_forcelist=_TRY_AGAIN,
            raise_on_status=False,
            respect_retry_after_header=False,  # it may ask for minutes; nobody waits that long for a number
        )
        url = settings.prometheus_url.get_secret_value().rstrip("/")
        client = PrometheusConnect(
            url,
            retry=retry,
            session=session,
            timeout=cast("int", settings.prometheus_timeout),  # requests takes parts of a second as well
        )
        return cls(client, redact(url))

    def instant(self, query: str) -> tuple[datetime, dict[str, float]]:
        """Give the moment at which Prometheus evaluated the query, and the number of each part that has one."""
        found = self._ask(lambda: self._client.custom_query(query))
        try:
            parts = {row["metric"][PART]: float(row["value"][1]) for row in found}
            evaluated = float(found[0]["value"][0]) if found else datetime.now(UTC).timestamp()
            return datetime.fromtimestamp(evaluated, UTC), parts
        except (KeyError, IndexError, TypeError, ValueError, OverflowError, OSError) as exc:
            raise WireError("its answer is not that of Prometheus") from exc

    def over(self, query: str, since: datetime, until: datetime, step: float) -> tuple[tuple[datetime, float], ...]:
        """Give the points of a query that has one series, oldest first; those that are not numbers are left out."""
        found = self._ask(lambda: self._client.custom_query_range(query, since, until, f"{step:.3f}"))
        try:
            values = [(float(at), float(value)) for row in found[:1] for at, value in row["values"]]
        except (KeyError, TypeError, ValueError) as exc:
            raise WireError("its answer is not that of Prometheus") from exc
        return tuple((datetime.fromtimestamp(at, UTC), value) for at, value in values if math.isfinite(value))

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _note_status(self, response: Response, *_args: object, **_kwargs: object) -> None:
        self._status = response.status_code

    def _ask(self, question: Any) -> list[dict[str, Any]]:
        from prometheus_api_client.exceptions import PrometheusApiClientException  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415
        from requests.exceptions import JSONDecodeError  # noqa: PLC0415

        try:
            found = question()
        except PrometheusApiClientException as exc:
            raise WireError(_refusal(self._status)) from exc
        except JSONDecodeError as exc:
            raise WireError("its answer is not that of Prometheus") from exc
        except RequestException as exc:  # no connection, none in time, a broken one
            raise WireError("down: it does not answer", silent=True) from exc
        except (KeyError, TypeError, AttributeError) as exc:  # the client takes the answer apart without looking
            raise WireError("its answer is not that of Prometheus") from exc
        if not isinstance(found, list):
            raise WireError("its answer is not that of Prometheus")
        return found


def _refusal(status: int) -> str:
    """Say what an answer other than 200 means."""
    if status in _UNAUTHORIZED:
        return f"refused the login ({status}): see DLQ_PROMETHEUS_TOKEN or DLQ_PROMETHEUS_USER and _PASSWORD"
    if status in _TRY_AGAIN:
        return f"down: it answers {status}"
    return f"it answers {status}"
