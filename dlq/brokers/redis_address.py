"""The addresses of Redis: redis://, rediss:// (TLS), unix://, redis-sentinel:// and redis-cluster://."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from dlq.config.addresses import SENTINEL
from dlq.errors import ConfigError

_SENTINEL_PORT: Final = 26_379
_REDIS_PORT: Final = 6_379
_CONNECT_SECONDS: Final = 5.0


def open_client(url: str, timeout: float) -> redis.Redis:
    """Prepare a client; the first command connects. `timeout` is for one answer, in seconds."""
    options = _options(timeout)
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
        [_host(text, _SENTINEL_PORT) for text in hosts.split(",")],
        sentinel_kwargs={"socket_timeout": _CONNECT_SECONDS, **own, **secure},
        **options,
        **secure,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(number or 0),
    )
    client: redis.Redis = sentinels.master_for(name)  # type: ignore[no-untyped-call]
    return client


@dataclass(frozen=True, slots=True)
class Seeds:
    """Nodes of a cluster to ask first, and how to log in to each node."""

    nodes: tuple[tuple[str, int], ...]
    login: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Seeds:
        """Read redis-cluster://USER:PASSWORD@HOST:PORT,HOST:PORT; rediss-cluster:// for TLS, options in the query."""
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        secure: dict[str, Any] = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if parts.scheme == "rediss-cluster":
            secure = {"ssl": True, **secure}
        said: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None, **secure}
        return cls(tuple(_host(text, _REDIS_PORT) for text in hosts.split(",")), said)


def node_client(seeds: Seeds, node: tuple[str, int], timeout: float) -> redis.Redis:
    """Prepare a client of one node of a cluster."""
    return redis.Redis(host=node[0], port=node[1], **_options(timeout), **seeds.login)


def _options(timeout: float) -> dict[str, Any]:
    # The domain does not retry (a task or the command does), and a retry below us would hide a lost answer.
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, _CONNECT_SECONDS),
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
    }


def _host(text: str, port: int) -> tuple[str, int]:
    host, colon, said = text.strip().rpartition(":")
    return (host.strip("[]"), int(said)) if colon else (text.strip("[]"), port)
