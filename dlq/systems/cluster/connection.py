"""The connection to the Kubernetes API server: who we are, time limits, and what a refusal means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlq.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterForbiddenError,
    ClusterNotFoundError,
    ClusterSilentError,
    ConfigError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubernetes.client import ApiClient

    from dlq.config.settings import Settings

NOT_CONFIGURED = "not configured: set DLQ_KUBECONFIG, or run in the cluster"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REFUSED_LOGIN, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _BUSY, _BROKEN = 401, 403, 404, 409, 429, 500


class Cluster:
    """One namespace of one cluster. Every call has a time limit; errors are ClusterError and its kinds."""

    def __init__(self, client: ApiClient, namespace: str, timeout: float) -> None:
        """Take the client, the namespace and the seconds that one call may take; `Cluster.of` makes all three."""
        from kubernetes import client as api  # noqa: PLC0415 - a second to import

        self.namespace = namespace
        self.shown = f"namespace {namespace} of {client.configuration.host}"
        self.apps = api.AppsV1Api(client)
        self.core = api.CoreV1Api(client)
        self.autoscaling = api.AutoscalingV1Api(client)  # v1 is in every cluster; v2 is not before 1.23
        self.custom = api.CustomObjectsApi(client)
        self._client = client
        self._timeout = timeout

    @classmethod
    def of(cls, settings: Settings) -> Cluster | None:
        """Connect as the settings say: a kubeconfig, else as a pod of the cluster, else None. Nothing is sent yet."""
        if settings.kubeconfig is None and not (_ACCOUNT / "token").is_file():
            return None
        from kubernetes import client, config  # noqa: PLC0415 - a second to import
        from urllib3.util.retry import Retry  # noqa: PLC0415
        from yaml import YAMLError  # noqa: PLC0415

        configuration = client.Configuration()
        try:
            if settings.kubeconfig is not None:
                file = str(settings.kubeconfig)
                config.load_kube_config(config_file=file, client_configuration=configuration)
                named = _namespace_of(config.list_kube_config_contexts(config_file=file))
            else:
                config.load_incluster_config(client_configuration=configuration)
                named = (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        except (config.ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ConfigError(
                "DLQ_KUBECONFIG: is not a kubeconfig that can be used.", file=settings.kubeconfig
            ) from exc
        # Reads are tried twice, a write once: what became of a write without an answer is looked up, not guessed.
        configuration.retries = Retry(total=1, backoff_factor=0.2, status_forcelist=(), allowed_methods={"GET"})
        return cls(client.ApiClient(configuration), settings.namespace or named or "default", settings.cluster_timeout)

    def call(self, verb: str, resource: str, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the API; `verb` and `resource` are the words of a Role, for the message when it is refused."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        what = f"{verb} {resource}{f' {name}' if name else ''}"
        try:
            found = function(*args, **kwargs, _request_timeout=(min(3.0, self._timeout), self._timeout))
        except ApiException as exc:
            raise self._refusal(what, verb, resource, exc.status) from exc
        except HTTPError as exc:
            raise ClusterSilentError(f"The API server did not answer to: {what}", place=self.shown) from exc
        except (ValueError, TypeError, AttributeError) as exc:
            raise ClusterError(f"The answer to {what} is not that of Kubernetes", place=self.shown) from exc
        if getattr(found, "spec", found) is None or getattr(found, "metadata", found) is None:
            raise ClusterError(f"The answer to {what} is not that of Kubernetes", place=self.shown)
        return found

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _refusal(self, what: str, verb: str, resource: str, status: int | None) -> ClusterError:
        """Make the error of an answer."""
        if status == _REFUSED_LOGIN:
            return ClusterForbiddenError(f"The login was refused on: {what}", place=self.shown)
        if status == _FORBIDDEN:
            return ClusterForbiddenError(
                f"Not allowed to {what}: the Role lacks the verb {verb} on {resource}", place=self.shown
            )
        if status == _NOT_FOUND:
            return ClusterNotFoundError(f"There is nothing to {what}", place=self.shown)
        if status == _CONFLICT:
            return ClusterConflictError(f"Somebody else changed it meanwhile: {what}", place=self.shown)
        if not status or status == _BUSY or status >= _BROKEN:
            return ClusterSilentError(f"The API server answers {status} to: {what}", place=self.shown)
        return ClusterError(f"The API server answers {status} to: {what}", place=self.shown)


def _namespace_of(contexts: Any) -> str:
    """Read the namespace of the current context of a kubeconfig."""
    _, current = contexts
    return str(current.get("context", {}).get("namespace") or "")
