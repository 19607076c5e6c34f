"""The named errors of the domain.

The docstring of an error is its default message. `advice` says what to do next, `exit_status` is what the
`dlq` command ends with: 1 failed, 2 bad arguments or configuration, 3 refused, 4 stopped by the breaker.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from dlq.redaction import redact


class DlqError(Exception):
    """The operation on the dead letter queue failed."""

    exit_status: ClassVar[int] = 1
    advice: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, /, **facts: object) -> None:
        """Build the message: what failed, the facts (queue, key, run ...), what to do next.

        `detail` takes the place of the docstring. Facts that are None are left out.
        """
        self.detail = redact(detail or self._default())
        self.facts: dict[str, object] = {
            name: redact(fact) if isinstance(fact, str) else fact for name, fact in facts.items() if fact is not None
        }
        super().__init__(self._message())

    @classmethod
    def _default(cls) -> str:
        """Give the first paragraph of the docstring on one line."""
        return " ".join((cls.__doc__ or DlqError.__doc__ or "").split("\n\n")[0].split())

    def _message(self) -> str:
        """Join the detail, the facts and the advice into one text."""
        text = self.detail
        if self.facts:
            facts = ", ".join(f"{name.replace('_', ' ')} {_show(fact)}" for name, fact in self.facts.items())
            stop = "." if text.endswith(".") else ""
            text = f"{text.removesuffix('.')} ({facts}){stop}"
        if self.advice and not text.endswith((".", "!", "?")):
            text += "."  # what failed may be in another program's words, which end anyhow
        return f"{text} {self.advice}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by detail and facts, so that a copy in another process says the same once."""
        return _rebuild, (type(self), self.detail, self.facts)

    @classmethod
    def from_facts(cls, detail: str, facts: Mapping[str, Any]) -> Self:
        """Make the error again from its parts."""
        return cls(detail, **facts)


def _rebuild(cls: type[DlqError], detail: str, facts: Mapping[str, Any]) -> DlqError:
    return cls.from_facts(detail, facts)


def _show(fact: object) -> str:
    """Render one fact: lists with commas, the rest as text."""
    if isinstance(fact, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in fact) or "none"
    return str(fact)


class ConfigError(DlqError):
    """The configuration cannot be used."""

    exit_status = 2
    advice = "Correct the setting and start again."


class BadArgumentError(DlqError):
    """An argument cannot be used."""

    exit_status = 2


class EditError(BadArgumentError):
    """The edit does not apply to this message, which stays as it is."""


class UnknownQueueError(DlqError):
    """There is no queue of this name."""

    exit_status = 2
    advice = "Name one of the known queues, or add a [queues.NAME] table to dlq.toml."


class RunNotFoundError(DlqError):
    """The ledger has no run of this id."""

    exit_status = 2
    advice = "List the runs with `dlq runs`; a ledger expires after DLQ_LEDGER_DAYS days."


_AGAIN = "try again; `dlq runs` shows what had begun, `dlq resume RUN` goes on with it"


class BrokerError(DlqError):
    """The broker refused a command."""

    advice = f"Nothing was half done: each batch is one atomic call. See the broker's log, then {_AGAIN}."


class BrokerUnreachableError(BrokerError):
    """The broker cannot be reached."""

    advice = f"Check that it runs and that DLQ_REDIS_URL, or DLQ_BROKER_URL, names it, then {_AGAIN}."


class BrokerBusyError(BrokerUnreachableError):
    """The broker runs, but answers no command now."""

    advice = f"Wait until it answers, then {_AGAIN}."


class BrokerUnwritableError(BrokerError):
    """The broker takes no writes now."""

    advice = f"Nothing was moved by what it refused. Mend that, then {_AGAIN}."


class AuthError(BrokerError):
    """The broker refused the login, or the user lacks a permission."""

    advice = "Check user and password in DLQ_REDIS_URL, or DLQ_BROKER_URL, and the user's rights to commands and keys."


class ReadOnlyReplicaError(BrokerError):
    """The broker is a read-only replica."""

    advice = f"Point DLQ_REDIS_URL at the primary, then {_AGAIN}."


class BrokerMemoryError(BrokerError):
    """The broker is out of memory and takes no writes."""

    advice = f"The batch was not applied. Free memory or raise maxmemory, then {_AGAIN}."


class QueueMissingError(BrokerError):
    """The broker has no queue, or no exchange, of this name."""

    advice = "Check the names in dlq.toml, or declare it, then resume the run."


class UnroutableError(BrokerError):
    """The broker could not route messages to their goal; they stay where they were."""

    advice = "Check the goal's exchange, routing key and bindings, then resume the run."


class DeliveryLimitError(DlqError):
    """Reading on would bring messages near their queue's delivery limit, beyond which the broker drops them."""

    exit_status = 3
    advice = "Drain instead of looking again: redriven and kept messages begin at zero. Or raise the delivery-limit."


class WrongKeyTypeError(BrokerError):
    """A key of the queue does not hold a list."""

    advice = "Look at the key with TYPE; give the queue another key in dlq.toml or move the stranger away."


class CrossSlotError(BrokerError):
    """The keys of the queue lie in different slots of the cluster."""

    advice = (
        "Name the cluster in DLQ_REDIS_URL as redis-cluster://HOST:PORT, or give the queue's keys one hash tag, as in"
        " {tokpulse}:dlq:webhooks."
    )


class LockedError(DlqError):
    """Another run holds the lock of the queue."""

    exit_status = 3
    advice = "Wait until it ends or, if its process is dead, until the lock expires."


class LockLostError(DlqError):
    """The run no longer holds the lock of the queue."""

    advice = "It was too slow to renew the lock or somebody took it. Nothing was moved after that; resume the run."


class QueueDisturbedError(DlqError):
    """Somebody else keeps changing the end of the queue that this run works on."""

    advice = "Stop the other consumer or drainer of this DLQ, then resume the run."


class LedgerError(DlqError):
    """The ledger of the run cannot be read or written."""

    advice = "Nothing moves without its ledger entry. Check the ledger's keys with `dlq show RUN`."


class EmbeddedServerError(DlqError):
    """The embedded server did not start."""

    advice = "Install redis-server, or set DLQ_REDIS_URL to a server that runs."


class PrefectUnreachableError(DlqError):
    """The Prefect server does not answer."""

    advice = "Start it, or look at PREFECT_API_URL; nothing is lost, Alertmanager sends its alerts again."


class RunRefusedError(DlqError):
    """Prefect refused to create the run."""

    exit_status = 2
    advice = "Correct the parameters of the alert's rule in dlq.toml."


class RunStateError(DlqError):
    """The run is not in a state in which this can be done."""

    exit_status = 3


class ChannelError(DlqError):
    """A channel did not take a notice."""

    advice = "The work on the queue went on; see what was not told in the run's report."


class ChannelRefusedError(ChannelError):
    """A channel is wrongly set up: it will not take the next notice either."""

    advice = "Correct DLQ_SLACK_TOKEN, DLQ_SLACK_CHANNEL or DLQ_NOTIFY_URLS; the work on the queue went on."


class NotGenuineError(DlqError):
    """The request does not come from Slack."""

    advice = "Check DLQ_SLACK_SIGNING_SECRET against the app's page in Slack, and this machine's clock."


class NotAllowedError(DlqError):
    """This person may not approve or reject."""

    exit_status = 3
    advice = "Ask somebody who may; DLQ_SLACK_APPROVERS lists their Slack ids."


class ApprovalError(DlqError):
    """The answer cannot be taken."""

    exit_status = 3
    advice = "Look at what the run asks now, and answer that."


class RefusedError(DlqError):
    """The run was refused before anything moved."""

    exit_status = 3
    advice = (
        "Mend what is named, or override it with a reason (`--override`, or the form's field), which the ledger keeps."
    )


class ClusterError(DlqError):
    """Kubernetes refused a request."""

    advice = "The drain does not depend on it; do this step by hand with kubectl."


class ClusterSilentError(ClusterError):
    """The Kubernetes API server did not answer."""

    advice = "It is tried again. What was asked for may have happened: see `kubectl get deployments`."


class ClusterForbiddenError(ClusterError):
    """Kubernetes does not allow this to us."""

    advice = "Add it to the Role; deployments/kubernetes/roles.yaml holds all that is needed."


class ClusterNotFoundError(ClusterError):
    """Kubernetes does not know this object."""

    advice = "Check `workers` of the queue in dlq.toml, and DLQ_NAMESPACE."


class ClusterConflictError(ClusterError):
    """Somebody else changes the object all the time."""

    advice = "See who scales it besides, then try again."


class WorkersError(DlqError):
    """The workers' API refused a request."""

    advice = "Check DLQ_WORKERS_URL and DLQ_WORKERS_TOKEN; the drain does not depend on it."


class WorkersSilentError(WorkersError):
    """The workers' API did not answer."""


class RepositoryError(DlqError):
    """The git repository cannot be read."""

    advice = "Check DLQ_REPOSITORY; the diagnosis goes on without it."


class ArchiveError(DlqError):
    """The archive cannot be used."""

    advice = "Nothing was dropped or put back because of it. Check the address (DLQ_ARCHIVES) and the file."
