"""What an address of RabbitMQ says: host, login, and for `amqps://` the files of TLS.

Their names are RabbitMQ's own: https://www.rabbitmq.com/docs/uri-query-parameters
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika

from dlq.errors import ConfigError

_FILES: Final = ("cacertfile", "certfile", "keyfile")


def parameters_of(url: str) -> pika.URLParameters:
    """Read an address; ConfigError when a file of it cannot be used.

    `cacertfile` replaces the system's authorities, `certfile` and `keyfile` are the client's own.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    files = {name: value for name, value in query if name in _FILES}
    rest = urlencode([(name, value) for name, value in query if name not in _FILES])
    parameters = pika.URLParameters(urlunsplit(parts._replace(query=rest)))
    if parts.scheme == "amqps":
        parameters.ssl_options = pika.SSLOptions(_context(files), parts.hostname)
    elif files:
        raise ConfigError(f"DLQ_BROKER_URL: {', '.join(files)} is for amqps:// addresses only.")
    return parameters


def _context(files: dict[str, str]) -> ssl.SSLContext:
    """Make the context of a client that checks the broker's certificate and name."""
    try:
        context = ssl.create_default_context(cafile=files.get("cacertfile"))
        if "certfile" in files:
            context.load_cert_chain(files["certfile"], files.get("keyfile"), password=_no_password)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"DLQ_BROKER_URL: a file of TLS ({', '.join(files)}) cannot be used: {exc}") from exc
    return context


def _no_password() -> str:
    """Refuse keys with a password, rather than ask the terminal for it."""
    raise ValueError("the key has a password")
