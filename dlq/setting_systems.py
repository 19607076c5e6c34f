"""The settings of the systems around a queue: Prometheus, and more below. What is not set is not used."""

from pydantic import Field, FilePath, SecretStr
from pydantic_settings import BaseSettings

from dlq.metric_queries import MetricNames
from dlq.setting_types import SecretWebAddress


class Systems(BaseSettings):
    """A part of `dlq.settings.Settings`, which gives the prefix DLQ_ and reads them."""

    # Prometheus: where the runbook's metrics are read; without an address none are
    prometheus_url: SecretWebAddress | None = Field(default=None, description="May hold user and password")
    prometheus_token: SecretStr | None = None
    prometheus_user: str = ""
    prometheus_password: SecretStr | None = None
    prometheus_ca: FilePath | None = Field(default=None, description="Certificates to trust instead of the usual ones")
    prometheus_cert: FilePath | None = Field(default=None, description="Client certificate, and its key if it is there")
    prometheus_key: FilePath | None = None
    prometheus_timeout: float = Field(default=5, gt=0, le=60, description="Seconds for each try")
    prometheus_retries: int = Field(default=1, ge=0, le=5)
    prometheus_stale_after: float = Field(default=180, gt=0, description="Seconds; an older sample counts for nothing")
    metrics: MetricNames = MetricNames()
