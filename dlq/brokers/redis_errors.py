"""Redis' failures in our words."""

from __future__ import annotations

from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    NoPermissionError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from dlq.errors import (
    AuthError,
    BrokerBusyError,
    BrokerError,
    BrokerMemoryError,
    BrokerUnreachableError,
    BrokerUnwritableError,
    CrossSlotError,
    DlqError,
    ReadOnlyReplicaError,
    WrongKeyTypeError,
)

# A script's own refusal comes without a code; the older form is that of Redis 6 and before.
_REFUSED_IN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script", "NOPERM")
_BY_CODE: Final[dict[str, tuple[type[DlqError], str]]] = {
    "BUSY": (BrokerBusyError, "somebody's script holds this Redis; SCRIPT KILL ends one that has not written yet."),
    "LOADING": (BrokerBusyError, "this Redis is reading its data from the disk."),
    "MASTERDOWN": (BrokerBusyError, "this Redis is a replica without its primary, and gives no old data."),
    "CLUSTERDOWN": (BrokerBusyError, "the cluster is down, or has slots that no node serves."),
    "MISCONF": (BrokerUnwritableError, "Redis could not save to its disk, and takes no writes until it can (MISCONF)."),
    "NOREPLICAS": (
        BrokerUnwritableError,
        "Redis has fewer good replicas than min-replicas-to-write asks for, and takes no writes (NOREPLICAS).",
    ),
    "READONLY": (ReadOnlyReplicaError, "this Redis is a read-only replica."),
    "OOM": (BrokerMemoryError, "Redis is over its maxmemory and refused the write."),
}


def explain(error: Exception, what: str) -> DlqError:
    """Name a Redis failure in our words: what failed, on what, and what to do next."""
    text = str(error)
    # The client library takes the code off the errors that it knows, and keeps it beside them.
    code = getattr(error, "status_code", None) or text.split(" ", 1)[0]
    refused = isinstance(error, AuthenticationError | NoPermissionError) or code in {"NOAUTH", "WRONGPASS", "NOPERM"}
    if refused or text.startswith(_REFUSED_IN_A_SCRIPT):
        text = "it asks for a password, and none was given" if code == "NOAUTH" else text
        return AuthError(f"{what}: Redis refused the credentials or lacks a permission ({text}).")
    if isinstance(error, ClusterCrossSlotError | AskError):  # MovedError is one of these
        return CrossSlotError(f"{what}: this Redis is a cluster and the keys lie in different slots.")
    if code == "WRONGTYPE" or "wrong kind of value" in text:
        return WrongKeyTypeError(f"{what}: a key that should be a list is of another type ({text}).")
    if code in _BY_CODE:
        kind, said = _BY_CODE[code]
        return kind(f"{what}: {said}")
    if isinstance(error, RedisConnectionError | RedisTimeoutError | OSError):
        return BrokerUnreachableError(f"{what}: Redis does not answer ({text}).")
    return BrokerError(f"{what}: Redis answered {text}")
