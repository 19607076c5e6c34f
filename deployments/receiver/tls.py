"""The receiver's certificate, and whose certificates its clients must bring."""

import ssl
from collections.abc import Callable
from typing import Any

from dlq.config.settings import Settings
from dlq.errors import ConfigError


def tls_options(settings: Settings) -> dict[str, Any]:
    """Give uvicorn's options for the settings, none without a certificate; ConfigError when a file cannot be used."""
    cert, key, authority = settings.receiver_cert, settings.receiver_key, settings.receiver_client_ca
    if cert is None:
        return {}
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Without a password of its own OpenSSL would ask the terminal for that of an encrypted key, and wait.
    _try(
        "DLQ_RECEIVER_CERT and DLQ_RECEIVER_KEY must be a certificate in PEM and its key, without a password",
        lambda: trial.load_cert_chain(cert, key, password=""),
    )
    options: dict[str, Any] = {"ssl_certfile": cert, "ssl_keyfile": key}
    if authority is not None:
        _try("DLQ_RECEIVER_CLIENT_CA must be certificates in PEM", lambda: trial.load_verify_locations(authority))
        options |= {"ssl_ca_certs": authority, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _try(wanted: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as exc:
        why = exc.reason if isinstance(exc, ssl.SSLError) else exc.strerror
        raise ConfigError(f"{wanted} ({why or exc}).") from exc
