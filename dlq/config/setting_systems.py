"""The settings of the systems around a queue: Prometheus, Kubernetes, the workers, logs and changes.

What is not set is not used.
"""

import re

from pydantic import DirectoryPath, Field, FilePath, SecretStr, field_validator
from pydantic_settings import BaseSettings

from dlq.config.metric_queries import MetricNames
from dlq.config.setting_types import ActionKinds, SecretWebAddress, Words

# the runbook's greps
FAILURE_PATTERN = r"ERROR|FATAL|CRITICAL|DLQ|Job failed|Invalid JSON|Schema validation|[Tt]imed? ?out|OOM|Traceback"


class Systems(BaseSettings):
    """A part of `dlq.config.settings.Settings`, which gives the prefix DLQ_ and reads them."""

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

    # Kubernetes: where the workers run; a kubeconfig, or the account of the pod that this runs in
    kubeconfig: FilePath | None = None
    namespace: str = Field(default="", description="Of the workers; else that of the kubeconfig or of the pod")
    cluster_timeout: float = Field(default=10, gt=0, le=120, description="Seconds for one call of the API server")
    scale_wait: float = Field(default=180, ge=0, le=3_600, description="Seconds to wait for scaled workers")

    # The workers' own API: /internal/health and /internal/workers/config below this address
    workers_url: SecretWebAddress | None = Field(default=None, description="May hold user and password")
    workers_token: SecretStr | None = None
    workers_timeout: float = Field(default=5, gt=0, le=60, description="Seconds for one call")

    # Chapter 3: which immediate actions a flow takes by itself; the others are only shown
    actions: ActionKinds = Field(default=("scale", "concurrency", "quarantine"), description="May be none at all")

    # Logs and changes beside Kubernetes
    logs: Words = Field(default=(), description="Log files to look into, as patterns such as logs/*.log")
    log_pattern: str = Field(default=FAILURE_PATTERN, description="Which lines tell of failures")
    repository: DirectoryPath | None = Field(default=None, description="Git repository of what the workers run")
    config_path: str = Field(default="config", description="Folder of the configuration in that repository")

    @field_validator("log_pattern")
    @classmethod
    def _pattern(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as exc:
            raise ValueError("is not a regular expression") from exc
        return text
