"""The settings of the webhook receiver, and which alert is about which queue."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator
from pydantic_settings import BaseSettings

EVERY = "*"
"""Names the rule of every alert that has none of its own."""


class AlertRule(BaseModel):
    """What an alert starts: a table [alerts.NAME] of dlq.toml; NAME is the alert's `alertname`, `*` for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    queue: str | None = Field(default=None, description="Its queue, for alerts without a label `queue`")
    deployment: str = Field(
        default="incident/incident", pattern=r"^[^/]+/[^/]+$", description="The deployment, as FLOW/NAME"
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of its runs, such as the pace")


class Receiving(BaseSettings):
    """A part of `dlq.config.settings.Settings`, which gives the prefix DLQ_ and reads them."""

    # The webhook receiver: see deployments/receiver.
    receiver_host: str = Field(default="127.0.0.1", min_length=1, description="Address that the receiver listens on")
    receiver_port: int = Field(default=4201, ge=1, le=65_535, description="Port that the receiver listens on")
    receiver_token: SecretStr | None = Field(default=None, description="Bearer token that alerts must bring")
    receiver_user: str | None = Field(default=None, description="User that alerts may bring instead of the token")
    receiver_password: SecretStr | None = Field(default=None, description="Password of that user")
    receiver_cert: FilePath | None = Field(default=None, description="Certificate chain: the receiver speaks TLS")
    receiver_key: FilePath | None = Field(default=None, description="Key of the certificate, if not in the same file")
    receiver_client_ca: FilePath | None = Field(default=None, description="Clients must bring a certificate of this CA")
    receiver_incidents_per_hour: int = Field(
        default=4, ge=0, description="Automatic incidents a queue and hour at most; more trip a notice instead"
    )
    receiver_settle: float = Field(
        default=60,
        ge=0,
        description="Seconds after an incident in which alerts that began to fire before its end still belong to it",
    )
    alerts: dict[str, AlertRule] = Field(default_factory=dict, description="What alerts start, by their alertname")

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        if (self.receiver_user is None) != (self.receiver_password is None):
            raise ValueError("receiver_user and receiver_password belong together; one of them is missing")
        if self.receiver_cert is None and (self.receiver_key or self.receiver_client_ca):
            raise ValueError("receiver_key and receiver_client_ca need receiver_cert, the receiver's own certificate")
        return self

    def alert_rule(self, name: str) -> AlertRule:
        """Give the rule of an alert: its own, else the one for all others, else the default."""
        return self.alerts.get(name) or self.alerts.get(EVERY) or AlertRule()
