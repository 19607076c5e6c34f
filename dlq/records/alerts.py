"""A firing alert as the flows know it, whoever sent it."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Line = Annotated[str, StringConstraints(max_length=200)]


class Alert(BaseModel):
    """The alert that an incident is about. `starts_at` is when it began to fire; empty texts are unknown."""

    model_config = ConfigDict(frozen=True, title="Alert")

    name: Line = Field(title="Name", description="Name of the alert rule, such as `HighDLQDepth`.", min_length=1)
    fingerprint: Line = Field(title="Fingerprint", description="What tells this alert from others.", min_length=1)
    starts_at: AwareDatetime = Field(title="Since", description="When it began to fire.")
    severity: Line = Field(default="", title="Severity", description="`medium`, `high` or `critical`.")
    level: int | None = Field(
        default=None, title="Level", description="Level of escalation that the rule asks for.", ge=1, le=3
    )
    queue: Line = Field(default="", title="Queue", description="The queue that it is about.")
    summary: str = Field(default="", title="Summary", description="What the rule says.", max_length=1_000)
    url: str = Field(default="", title="Address", description="Where the alert can be looked at.", max_length=2_000)

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.name}: {self.summary}" if self.summary else self.name
