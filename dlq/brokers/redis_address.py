"""The addresses of Redis servers: redis://, rediss:// (TLS), unix://, and redis-sentinel:// for a master by name."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from dlq.errors import ConfigError

SENTINEL: Final = ("redis-sentinel://", "rediss-sentinel://")
_SENTINEL_PORT: Final = 26_379
_CONNECT_SECONDS: Final = 5.0


def open_client(url: str, timeout: float) -> redis.Redis:
    """Prepare a client; the first command connects. `timeout` is for one answer, in seconds."""
    # The domain does not retry (a task or the command does), and a retry below us would hide a lost answer.
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, _CONNECT_SECONDS),
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
    }
    if url.startswith(SENTINEL):
        return _of_sentinels(url, options)
    return redis.Redis.from_url(url, **options)


def _of_sentinels(url: str, options: dict[str, Any]) -> redis.Redis:
    """Ask sentinels for the master at each new connection: redis-sentinel://USER:PASSWORD@HOST:PORT,HOST/NAME/DB.

    User and password are the master's; the sentinels' own stand in the query, as `sentinel_username` and
    `sentinel_password`. With rediss-sentinel:// both are reached by TLS; `ssl_ca_certs` and the like stand in the
    query as they do for rediss://. https://redis.io/docs/latest/develop/reference/sentinel-clients/
    """
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    name, _, number = parts.path.strip("/").partition("/")
    if not name or not hosts:
        raise ConfigError("A sentinel address is redis-sentinel://HOST:PORT,HOST:PORT/NAME, NAME being the master's.")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    own = {key.removeprefix("sentinel_"): query.pop(key) for key in list(query) if key.startswith("sentinel_")}
    user, _, password = login.partition(":")
    secure: dict[str, Any] = {"ssl": True, **query} if parts.scheme == "rediss-sentinel" else {}
    sentinels = Sentinel(  # type: ignore[no-untyped-call] # redis-py leaves this module without annotations
        [_host(text) for text in hosts.split(",")],
        sentinel_kwargs={"socket_timeout": _CONNECT_SECONDS, **own, **secure},
        **options,
        **secure,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(number or 0),
    )
    client: redis.Redis = sentinels.master_for(name)  # type: ignore[no-untyped-call]
    return client


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    return (host.strip("[]"), int(port)) if colon else (text.strip("[]"), _SENTINEL_PORT)
