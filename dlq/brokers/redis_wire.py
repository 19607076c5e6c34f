"""One Redis connection whose commands can be sent before the answers of earlier ones are read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from dlq.brokers.redis_address import open_client
from dlq.brokers.redis_errors import explain
from dlq.errors import BrokerUnreachableError, DlqError
from dlq.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from dlq.brokers.base import Pending

T = TypeVar("T")

SCRIPTS = ("acquire", "begin", "commit", "finish", "lengths", "put", "release", "renew", "unstash")
RABBIT_SCRIPTS = ("confirm", "post")
CLUSTER_SCRIPTS = ("admit", "deliver", "fence")
TIMEOUT = 30.0  # seconds for one answer
_CAN_WAIT = frozenset({"lengths"})  # its answer is wanted late: it goes with the next command, in one packet


def packed(command: Sequence[Any]) -> bytes:
    """Write a command as Redis reads it; the client library takes four times as long for one of 500 messages.

    https://redis.io/docs/latest/develop/reference/protocol-spec/
    """
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def script_text(name: str) -> str:
    """Read the source of one of our scripts."""
    return resources.files("dlq.brokers").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


class RedisWire(Protocol):
    """What the adapters on Redis talk through: one server, or the nodes of a cluster."""

    def send(self, what: str, read: Callable[[Any], T], *command: Any) -> Pending[T]:
        """Send a command, its first argument the key; `read` turns its raw answer into a value."""

    def call(self, what: str, *command: Any) -> Any:
        """Send a command and wait for its raw answer."""

    def script(self, what: str, read: Callable[[Any], T], name: str, keys: list[str], args: list[Any]) -> Pending[T]:
        """Send one of our scripts, whose keys lie in one slot."""

    def close(self) -> None:
        """Let go of the connections."""


@dataclass(slots=True, eq=False)
class Reply(Generic[T]):
    """An answer on its way; answers arrive in the order of the commands."""

    wire: Wire
    what: str
    read: Callable[[Any], T]
    value: T | None = None
    error: Exception | None = None
    arrived: bool = False

    def result(self) -> T:
        """Wait for this answer, taking in those of earlier commands on the way."""
        while not self.arrived:
            self.wire.take_in()
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


@dataclass(slots=True)
class Wire:
    """A connection of its own, with the answers that are still to come."""

    server: str | redis.Redis
    """An address (see redis_address), or a client whose connections are used."""
    explain: Callable[[Exception, str], Exception] = explain
    scripts: tuple[str, ...] = SCRIPTS
    _client: redis.Redis = field(init=False)
    _connection: Any = field(init=False, default=None)
    _waiting: deque[Reply[Any]] = field(init=False, default_factory=deque)
    _unsent: list[bytes] = field(init=False, default_factory=list)
    _shas: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the client; nothing is sent before the first command."""
        self._client = open_client(self.server, TIMEOUT) if isinstance(self.server, str) else self.server

    def send(self, what: str, read: Callable[[Any], T], *command: Any) -> Reply[T]:
        """Send a command; `read` turns its raw answer into a value."""
        return self._send(what, read, command)

    def call(self, what: str, *command: Any) -> Any:
        """Send a command and wait for its raw answer."""
        return self.send(what, _same, *command).result()

    def script(self, what: str, read: Callable[[Any], T], name: str, keys: list[str], args: list[Any]) -> Reply[T]:
        """Send one of our scripts by its digest; the server has it since the connection was made."""
        self._connected()
        command = ("EVALSHA", self._shas[name], len(keys), *keys, *args)
        return (self._put if name in _CAN_WAIT else self._send)(what, read, command)

    def take_in(self) -> None:
        """Read the next answer from the connection."""
        if self._unsent:
            self._flush(self._waiting[-1].what)
        reply = self._waiting.popleft()
        reply.arrived = True
        try:
            reply.value = reply.read(self._connection.read_response())
        except NoScriptError as exc:  # SCRIPT FLUSH or a restart: the scripts are sent again with the next connection
            self.drop()
            reply.error = self.explain(RedisConnectionError(str(exc)), reply.what)
        except ResponseError as exc:
            reply.error = self.explain(exc, reply.what)
        except (RedisError, OSError) as exc:
            reply.error = self.explain(exc, reply.what)
            self.drop(reply.error)
        except DlqError as exc:
            reply.error = exc

    def drop(self, reason: Exception | None = None) -> None:
        """Close the connection; whatever was still to come fails, and the next command connects anew."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.disconnect()
            self._client.connection_pool.release(connection)
        self._unsent = []
        while self._waiting:
            reply = self._waiting.popleft()
            reply.arrived = True
            reply.error = reason or BrokerUnreachableError(
                f"{reply.what}: the connection to Redis was closed before the answer came."
            )

    def close(self) -> None:
        """Close the connection and the pool."""
        self.drop()
        self._client.close()

    def _send(self, what: str, read: Callable[[Any], T], command: tuple[Any, ...]) -> Reply[T]:
        reply = self._put(what, read, command)
        self._flush(what)
        return reply

    def _put(self, what: str, read: Callable[[Any], T], command: tuple[Any, ...]) -> Reply[T]:
        """Have a command go with the next one."""
        self._connected()
        self._unsent.append(packed(command))
        reply: Reply[T] = Reply(self, what, read)
        self._waiting.append(reply)
        return reply

    def _flush(self, what: str) -> None:
        """Send what is still to be sent."""
        unsent, self._unsent = self._unsent, []
        try:
            self._connected().send_packed_command([b"".join(unsent)], check_health=False)
        except (RedisError, OSError) as exc:
            self.drop()
            raise self.explain(exc, what) from exc

    @property
    def _address(self) -> str:
        """Give the server for display, without its password."""
        if isinstance(self.server, str):
            return redact(self.server)
        said = self.server.connection_pool.connection_kwargs
        return f"{said.get('host')}:{said.get('port')}"

    def _connected(self) -> Any:
        if self._connection is None:
            try:
                connection: Any = self._client.connection_pool.get_connection()
                self._connection = connection
                for name in self.scripts:
                    connection.send_command("SCRIPT", "LOAD", script_text(name))
                for name in self.scripts:
                    self._shas[name] = connection.read_response().decode()
            except (RedisError, OSError) as exc:
                self.drop()
                raise self.explain(exc, f"connecting to {self._address}") from exc
        return self._connection


def _same(answer: Any) -> Any:
    return answer
