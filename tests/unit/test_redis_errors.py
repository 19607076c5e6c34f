"""Redis' answers in our words."""

import pytest
from redis._parsers.base import BaseParser

from dlq.brokers.redis_errors import explain
from dlq.errors import BrokerBusyError, BrokerMemoryError, BrokerUnwritableError, DlqError, ReadOnlyReplicaError


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("BUSY Redis is busy running a script.", BrokerBusyError),
        ("LOADING Redis is loading the dataset in memory", BrokerBusyError),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", BrokerBusyError),
        ("CLUSTERDOWN The cluster is down", BrokerBusyError),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to", BrokerUnwritableError),
        ("NOREPLICAS Not enough good replicas to write.", BrokerUnwritableError),
        ("OOM command not allowed when used memory > 'maxmemory'.", BrokerMemoryError),
        ("READONLY You can't write against a read only replica.", ReadOnlyReplicaError),
    ],
)
def test_an_answer_is_told_by_its_code(answer: str, kind: type[DlqError]) -> None:
    """Whether the client library knows the code, and takes it off the text, or not."""
    error = explain(BaseParser.parse_error(answer), "queue a: commit")
    assert type(error) is kind
    assert str(error).startswith("queue a: commit: ")
    assert "`dlq resume RUN`" in str(error)
