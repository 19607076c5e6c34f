"""A wire to each node of a Redis Cluster: commands go where the slot of their key is.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError, TryAgainError

from dlq.brokers.redis_address import Seeds, node_client
from dlq.brokers.redis_errors import explain
from dlq.brokers.redis_wire import CLUSTER_SCRIPTS, RABBIT_SCRIPTS, SCRIPTS, Wire
from dlq.errors import BrokerBusyError, BrokerError, BrokerUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlq.brokers.base import Pending

T = TypeVar("T")
Node = tuple[str, int]

_HOPS: Final = 100  # while a slot moves its keys are on two nodes, and a script has to wait for the last of them
_PAUSE: Final = 0.05  # seconds between two tries


class RedirectedError(BrokerError):
    """The slot is, or will be, on another node; nothing was done."""

    def __init__(self, detail: str | None = None, /, *, node: Node | None = None, asking: bool = False) -> None:
        """Say where to go: None for a node that is not known yet, `asking` for this one command only."""
        super().__init__(detail)
        self.node = node
        self.asking = asking


def explain_in_cluster(error: Exception, what: str) -> Exception:
    """Name a failure; a redirection is told apart."""
    if isinstance(error, AskError):  # MovedError is one of these
        return RedirectedError(str(error), node=error.node_addr, asking=not isinstance(error, MovedError))
    if isinstance(error, TryAgainError):
        return RedirectedError(str(error))
    return explain(error, what)


class _Command(NamedTuple):
    """A command as it can be sent again. `script` names one of ours, whose digest a node learns as it is met."""

    what: str
    read: Callable[[Any], Any]
    key: str
    script: str
    args: tuple[Any, ...]

    def send(self, wire: Wire) -> Pending[Any]:
        if self.script:
            count: int = self.args[0]
            keys, args = list(self.args[1 : 1 + count]), list(self.args[1 + count :])
            return wire.script(self.what, self.read, self.script, keys, args)
        return wire.send(self.what, self.read, *self.args)


@dataclass(slots=True, eq=False)
class ClusterReply(Generic[T]):
    """An answer on its way, which follows its slot where that has moved."""

    wire: ClusterWire
    command: _Command
    reply: Pending[T]

    def result(self) -> T:
        """Wait for the answer; a redirected command is sent again, since it was not carried out."""
        try:
            return self.reply.result()
        except RedirectedError as exc:
            answer: T = self.wire.follow(self.command, exc)
            return answer
        except BrokerUnreachableError:
            self.wire.lose()
            raise


@dataclass(slots=True)
class ClusterWire:
    """Connections to the masters of a cluster, one each, with the answers that are still to come."""

    seeds: Seeds
    timeout: float = 30.0
    _wires: dict[Node, Wire] = field(init=False, default_factory=dict)
    _starts: list[int] = field(init=False, default_factory=list)
    _owners: list[Node] = field(init=False, default_factory=list)

    def send(self, what: str, read: Callable[[Any], T], *command: Any) -> ClusterReply[T]:
        """Send a command, its first argument the key."""
        return self._send(_Command(what, read, command[1], "", command))

    def call(self, what: str, *command: Any) -> Any:
        """Send a command and wait for its raw answer."""
        return self.send(what, lambda answer: answer, *command).result()

    def script(
        self, what: str, read: Callable[[Any], T], name: str, keys: list[str], args: list[Any]
    ) -> ClusterReply[T]:
        """Send one of our scripts, whose keys lie in one slot."""
        return self._send(_Command(what, read, keys[0], name, (len(keys), *keys, *args)))

    def wait(self, key: str, replicas: int) -> None:
        """Wait until so many replicas have what was written through this wire to the node of a key."""
        what = f"{replicas} replicas of the node of {key}"
        wire = self._wire(self._owner(key))
        reached = int(wire.call(what, "WAIT", replicas, int(self.timeout * 500)))
        if reached < replicas:
            raise BrokerBusyError(f"{what}: only {reached} have the last write, and DLQ_WAIT_REPLICAS asks for more.")

    def follow(self, command: _Command, redirected: RedirectedError) -> Any:
        """Send a command again, where its slot is now."""
        for _ in range(_HOPS):
            if redirected.node is None:
                time.sleep(_PAUSE)
            try:
                return self._at(command, redirected).result()
            except RedirectedError as exc:
                redirected = exc
        raise BrokerBusyError(
            f"{command.what}: the slot of {command.key} is on its way between two nodes; `redis-cli --cluster check`"
            " tells whether that goes on, and `--cluster fix` ends what broke off."
        )

    def masters(self) -> list[Wire]:
        """Give the wire to each master, to ask it about itself."""
        if not self._starts:
            self._learn()
        return [self._wire(node) for node in dict.fromkeys(self._owners)]

    def forget(self) -> None:
        """Ask for the slots again before the next command."""
        self._starts, self._owners = [], []

    def lose(self) -> None:
        """Connect to all nodes anew: what cut one off may have cut all off, and each is not to be a failure more."""
        self.forget()
        for wire in self._wires.values():
            wire.drop()

    def close(self) -> None:
        """Close all connections."""
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()
        self.forget()

    def _send(self, command: _Command) -> ClusterReply[Any]:
        try:
            return ClusterReply(self, command, command.send(self._wire(self._owner(command.key))))
        except BrokerUnreachableError:
            self.lose()
            raise

    def _at(self, command: _Command, redirected: RedirectedError) -> Pending[Any]:
        if redirected.node is None:
            return command.send(self._wire(self._owner(command.key)))
        wire = self._wire(redirected.node)
        if redirected.asking:
            wire.send(command.what, lambda answer: answer, "ASKING")
        else:
            self.forget()
        return command.send(wire)

    def _wire(self, node: Node) -> Wire:
        if node not in self._wires:
            client = node_client(self.seeds, node, self.timeout)
            self._wires[node] = Wire(client, explain_in_cluster, SCRIPTS + CLUSTER_SCRIPTS + RABBIT_SCRIPTS)
        return self._wires[node]

    def _owner(self, key: str) -> Node:
        if not self._starts:
            self._learn()
        return self._owners[bisect_right(self._starts, key_slot(key.encode())) - 1]

    def _learn(self) -> None:
        """Ask a node for the masters of all slots: one that we know, else a seed."""
        failure: Exception | None = None
        for node in dict.fromkeys([*self._wires, *self.seeds.nodes]):
            client = node_client(self.seeds, node, min(self.timeout, 5.0))
            try:
                ranges: list[Any] = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as exc:
                failure = exc
                continue
            finally:
                client.close()
            rows = sorted((int(start), _address(master, node)) for start, _, master, *_ in _plain(ranges))
            if rows and rows[0][0] == 0:
                self._starts, self._owners = [start for start, _ in rows], [owner for _, owner in rows]
                return
            failure = BrokerUnreachableError(f"the cluster at {node[0]}:{node[1]} does not serve all slots.")
        if isinstance(failure, BrokerUnreachableError):
            raise failure
        raise explain_in_cluster(failure or OSError("no seeds"), "connecting to the cluster")


def _plain(answer: Any) -> Any:
    """Give CLUSTER SLOTS as the server says it, whichever way the client has read it."""
    if isinstance(answer, dict):
        return [(start, end, found["primary"]) for (start, end), found in answer.items()]
    return answer


def _address(master: Any, asked: Node) -> Node:
    host, port = master[0], int(master[1])
    name = host.decode() if isinstance(host, bytes) else host
    return (name or asked[0], port)


def in_one_slot(*keys: str) -> bool:
    """Say whether keys lie in the same slot of any cluster."""
    return len({key_slot(key.encode()) for key in keys}) == 1
