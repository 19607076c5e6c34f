"""The parameters that flows have in common; the Prefect UI makes its forms from them (see `flows.forms`)."""

from typing import Annotated

from pydantic import Field

from dlq.records.alerts import Alert
from flows import forms
from flows.forms import COUNT, OBJECT, TEXT, TEXTS, Plain, QueueChoice, described, optional
from tasks.job import OnTripName, PaceName

_PATHS = "a field path such as payload.region"

QueueName = Annotated[
    str,
    QueueChoice(),
    described("Queue", "The queue to work on; the queues of dlq.toml.", min_length=1, max_length=100),
]
QueueNames = Annotated[
    str,
    QueueChoice(everyone=True),
    described("Queue", "The queue to look at; 'all' for every one of dlq.toml.", min_length=1, max_length=100),
]
RunId = Annotated[
    str,
    described(
        "Run",
        "The run's id, such as webhooks-2026-11-23-1532-7f3a9c. It stands in its report and artifacts; 'dlq runs'"
        " lists all.",
        min_length=1,
        max_length=200,
    ),
]
Reason = Annotated[str, described("Reason", "Why. Kept in the ledger, shown in the report.", max_length=1_000)]
StopWorkers = Annotated[
    bool,
    described("Stop the workers", "On: scale them to 0 first, so that they take nothing more, and back afterwards."),
]
Override = Annotated[
    str,
    described(
        "Override", "Why to drain although the pre-flight refuses. Kept in the ledger. Empty: do not.", max_length=1_000
    ),
]
Fixed = Annotated[
    str,
    described("Fixed", "What was mended since the newest failure, if you know. The pre-flight asks.", max_length=1_000),
]
DryRun = Annotated[bool, described("Dry run", "On: only count and show what would be done. Nothing is moved.")]
Tell = Annotated[bool, described("Tell people", "On: one message through the channels that are set up.")]
Grace = Annotated[
    int,
    described(
        "Grace", "Seconds that the workers get before it is looked at what became of the messages.", ge=0, le=3_600
    ),
]

FiringAlert = Annotated[
    Alert | None,
    Plain(OBJECT),
    optional("Alert", "Leave it as it is: the receiver of alerts says here which alert the incident is about.", {}),
]

Types = Annotated[
    list[str] | None, Plain(TEXTS), optional("Only types", "Only messages of these types. None: of any type.", [])
]
Signatures = Annotated[
    list[str] | None,
    Plain(TEXTS),
    optional("Only signatures", "Only these signatures, by the key or the text that the assessment lists.", []),
]
Error = Annotated[
    Annotated[str, Field(max_length=500)] | None,
    Plain(TEXT | {"maxLength": 500}, forms.regular_expression),
    optional("Only error text", "Only messages whose error text matches this regular expression.", ""),
]
OlderThan = Annotated[
    Annotated[str, Field(max_length=50)] | None,
    Plain(TEXT | {"maxLength": 50}, forms.age),
    optional("Only older than", "Only messages that failed at least this long ago, such as 2h or 1d12h.", ""),
]
NewerThan = Annotated[
    Annotated[str, Field(max_length=50)] | None,
    Plain(TEXT | {"maxLength": 50}, forms.age),
    optional("Only newer than", "Only messages that failed within this time, such as 30m.", ""),
]
AttemptsMin = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Plain(COUNT),
    optional("Only after attempts", "Only messages that were tried this often or more. 0: any.", 0),
]
Where = Annotated[
    list[str] | None,
    Plain(TEXTS, forms.condition),
    optional("Only where", f"Only messages that fit each FIELD=VALUE or FIELD!=VALUE; FIELD is {_PATHS}.", []),
]
Limit = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Plain(COUNT),
    optional("At most", "At most this many messages in all. 0: no limit.", 0),
]

Set = Annotated[
    list[str] | None,
    Plain(TEXTS, forms.assignment),
    optional("Edit: set", f"Fields to set on the way, as FIELD=VALUE, such as retryCount=0; FIELD is {_PATHS}.", []),
]
Unset = Annotated[
    list[str] | None,
    Plain(TEXTS, forms.field_path),
    optional("Edit: remove", f"Fields to remove on the way; each is {_PATHS}.", []),
]
Increment = Annotated[
    list[str] | None,
    Plain(TEXTS, forms.field_path),
    optional("Edit: add one", f"Numbers to raise by one on the way; each is {_PATHS}.", []),
]

Pace = Annotated[
    PaceName,
    described(
        "Pace",
        "adaptive: by what the workers make of each wave. fixed: wave after wave with a pause between."
        " none: without pauses.",
    ),
]
Batch = Annotated[
    int,
    described(
        "Pace: batch",
        "Messages a wave. With pace none the default of 100 stands for 10,000.",
        ge=1,
        le=1_000_000,
    ),
]
Pause = Annotated[
    float, described("Pace: pause", "Seconds between two waves; not used with pace none.", ge=0, le=3_600)
]
MaxBatches = Annotated[
    int, described("Pace: most waves", "Waves at most. 0: until the end of the queue.", ge=0, le=1_000_000)
]
Rate = Annotated[
    float, described("Pace: messages a second", "With pace adaptive, at most so many. 0: as configured.", ge=0)
]
OnTrip = Annotated[
    OnTripName,
    described(
        "Pace: when all is stopped",
        "With pace adaptive, when the breaker stops the whole drain: stop, or also withdraw what no worker has taken.",
    ),
]
