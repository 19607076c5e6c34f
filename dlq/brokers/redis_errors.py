"""Redis' failures in our words."""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from dlq.errors import (
    AuthError,
    BrokerError,
    BrokerMemoryError,
    BrokerUnreachableError,
    CrossSlotError,
    DlqError,
    ReadOnlyReplicaError,
    WrongKeyTypeError,
)

# A script's own refusal comes without a code; the older form is that of Redis 6 and before.
_REFUSED_IN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script", "NOPERM")


def explain(error: Exception, what: str) -> DlqError:
    """Name a Redis failure in our words: what failed, on what, and what to do next."""
    text = str(error)
    code = text.split(" ", 1)[0]
    refused = isinstance(error, AuthenticationError | NoPermissionError) or code in {"NOAUTH", "WRONGPASS", "NOPERM"}
    if refused or text.startswith(_REFUSED_IN_A_SCRIPT):
        return AuthError(f"{what}: Redis refused the credentials or lacks a permission ({text}).")
    if isinstance(error, ReadOnlyError) or code == "READONLY":
        return ReadOnlyReplicaError(f"{what}: this Redis is a read-only replica.")
    if isinstance(error, OutOfMemoryError) or code == "OOM":
        return BrokerMemoryError(f"{what}: Redis is over its maxmemory and refused the write.")
    if isinstance(error, ClusterCrossSlotError | AskError):  # MovedError is one of these
        return CrossSlotError(f"{what}: this Redis is a cluster and the keys lie in different slots.")
    if code == "WRONGTYPE" or "wrong kind of value" in text:
        return WrongKeyTypeError(f"{what}: a key that should be a list is of another type ({text}).")
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
        return BrokerUnreachableError(f"{what}: Redis does not answer ({text}).")
    return BrokerError(f"{what}: Redis answered {text}")
