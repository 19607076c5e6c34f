"""The parameters that flows have in common; the Prefect UI makes its forms from them."""

from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from tasks.job import PaceName


def described(title: str, description: str, **bounds: Any) -> FieldInfo:
    """Make a field whose title and description reach Prefect's form.

    Prefect puts the parameter's name in place of the title and drops the description of an annotated type, but
    leaves what stands in `json_schema_extra`.
    """
    extra: JsonDict = {"title": title, "description": description}
    field: FieldInfo = Field(title=title, description=description, json_schema_extra=extra, **bounds)
    return field


_PATHS = "a field path, such as `payload.region`"

QueueName = Annotated[
    str, described("Queue", "Name of the queue in dlq.toml, such as `webhooks`.", min_length=1, max_length=100)
]
QueueNames = Annotated[
    str, described("Queue", "Name of the queue in dlq.toml, or `all`.", min_length=1, max_length=100)
]
RunId = Annotated[str, described("Run", "Ledger id of the run; `dlq runs` lists them.", min_length=1, max_length=200)]
Reason = Annotated[
    str, described("Reason", "Why; it is kept in the ledger and stands in the report.", max_length=1_000)
]
DryRun = Annotated[bool, described("Dry run", "Only count and show what would be done; nothing is moved.")]
Grace = Annotated[
    int,
    described("Grace", "Seconds that the workers get before the outcome is looked at.", ge=0, le=3_600),
]

Types = Annotated[list[str] | None, described("Types", "Only messages of these types; empty: all.")]
Signatures = Annotated[
    list[str] | None,
    described("Signatures", "Only these signatures, by key (or its beginning) or text, as the assessment lists them."),
]
Error = Annotated[
    str | None, described("Error", "Only messages whose error text matches this regular expression.", max_length=500)
]
OlderThan = Annotated[
    str | None,
    described(
        "Older than", "Only messages that failed at least this long ago, such as `2h` or `1d12h`.", max_length=50
    ),
]
NewerThan = Annotated[
    str | None,
    described("Newer than", "Only messages that failed within this time, such as `30m`.", max_length=50),
]
AttemptsMin = Annotated[
    int | None, described("Attempts at least", "Only messages that were tried this often or more.", ge=0)
]
Where = Annotated[
    list[str] | None,
    described("Where", f"Only messages that fit each `FIELD=VALUE` or `FIELD!=VALUE`; FIELD is {_PATHS}."),
]
Limit = Annotated[int | None, described("Limit", "At most this many messages in all.", ge=1)]

Set = Annotated[
    list[str] | None,
    described("Set", f"Fields to set on the way, as `FIELD=VALUE`, such as `retryCount=0`; FIELD is {_PATHS}."),
]
Unset = Annotated[list[str] | None, described("Unset", f"Fields to remove on the way; each is {_PATHS}.")]
Increment = Annotated[
    list[str] | None, described("Increment", f"Numbers to raise by one on the way; each is {_PATHS}.")
]

Pace = Annotated[
    PaceName,
    described("Pace", "`fixed`: wave after wave with a pause between; `none`: without pauses."),
]
Batch = Annotated[
    int,
    described(
        "Batch",
        "Messages a wave. With pace `none` the default of 100 stands for 10,000.",
        ge=1,
        le=1_000_000,
    ),
]
Pause = Annotated[float, described("Pause", "Seconds between two waves; not used with pace `none`.", ge=0, le=3_600)]
MaxBatches = Annotated[
    int, described("Most batches", "Waves at most; 0: until the end of the queue.", ge=0, le=1_000_000)
]
