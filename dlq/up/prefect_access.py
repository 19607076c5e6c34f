"""Which Prefect server a command speaks to, and with which credentials: what Prefect's own variables say.

`PREFECT_API_URL`, `PREFECT_API_AUTH_STRING` or `PREFECT_API_KEY`, `PREFECT_API_SSL_CERT_FILE` and
`PREFECT_API_TLS_INSECURE_SKIP_VERIFY`, with the meaning that they have for Prefect; its profiles are not read. Without
an address it is the server of `dlq up` on this machine.
https://docs.prefect.io/v3/api-ref/settings-ref
"""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dlq.redaction import conceal, redact
from dlq.up.errors import PrefectApiError
from dlq.up.prefect_api import PrefectApi

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE: Final = frozenset({"1", "true", "yes", "on", "t", "y"})


def configured(ui_port: int, environment: Mapping[str, str] = os.environ) -> PrefectApi:
    """Give the server that the environment names, else the one on a loopback port; PrefectApiError: no usable one."""
    auth = environment.get("PREFECT_API_AUTH_STRING", "")
    key = environment.get("PREFECT_API_KEY", "")
    conceal(*filter(None, (auth, auth.partition(":")[2], key)))
    url = environment.get("PREFECT_API_URL", "")
    if not url:
        return PrefectApi(ui_port, auth or environment.get("PREFECT_SERVER_API_AUTH_STRING", ""))
    conceal(url)
    try:
        parts = urlsplit(url)
        secure = {"http": False, "https": True}[parts.scheme]
        host, port = parts.hostname, parts.port or (443 if secure else 80)
    except (KeyError, ValueError) as exc:
        raise PrefectApiError(f"PREFECT_API_URL {redact(url)} is not the address of an API.") from exc
    if not host:
        raise PrefectApiError(f"PREFECT_API_URL {redact(url)} is not the address of an API.")
    return PrefectApi(port, auth, key, host, parts.path.rstrip("/"), _trust(environment) if secure else None)


def why_not(error: PrefectApiError, api: PrefectApi) -> str:
    """Say in one sentence, without credentials, why a call to the server came to nothing."""
    status = error.facts.get("status")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return (
            f"the Prefect server {api.url} refused the credentials (HTTP {status}):"
            " look at PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
        )
    if status == HTTPStatus.NOT_FOUND:
        return f"the Prefect server {api.url} does not know the flow run: look at PREFECT_API_URL"
    if status is not None:
        return f"the Prefect server {api.url} answered with HTTP {status}"
    return f"the Prefect server {api.url} gave no usable answer ({error.__cause__}): look at PREFECT_API_URL"


def _trust(environment: Mapping[str, str]) -> ssl.SSLContext:
    file = environment.get("PREFECT_API_SSL_CERT_FILE") or environment.get("SSL_CERT_FILE") or None
    try:
        context = ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as exc:
        raise PrefectApiError(f"PREFECT_API_SSL_CERT_FILE {file} cannot be used: {exc}.") from exc
    if environment.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in _TRUE:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
