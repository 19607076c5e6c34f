"""The way to the API server: which one, and what its silence and its refusals mean."""

from pathlib import Path

import pytest

from dlq.config.settings import Settings
from dlq.errors import ClusterError, ClusterForbiddenError, ClusterSilentError, ConfigError
from dlq.systems.cluster.connection import Cluster
from dlq.systems.cluster.scaling import replicas
from tests.kubernetes.real import kubeconfig_text
from tests.web_fake import DROP, HANG, Answer, web_fake


def connect(folder: Path, url: str) -> Cluster:
    """Connect by a kubeconfig."""
    file = folder / "kubeconfig"
    file.write_text(kubeconfig_text(url, "token-canary", "tokpulse"))
    cluster = Cluster.of(Settings(kubeconfig=file, cluster_timeout=0.3))
    assert cluster is not None
    return cluster


def test_without_a_kubeconfig_there_is_no_cluster() -> None:
    """It is not configured, which is no failure; nobody's ~/.kube/config is used by accident."""
    assert Cluster.of(Settings()) is None


@pytest.mark.parametrize("text", ["", "{", "a: [", "just words", "apiVersion: v1\nkind: Config\n"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    """Is an error of the settings."""
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(ConfigError, match="DLQ_KUBECONFIG"):
        Cluster.of(Settings(kubeconfig=file))


def test_the_namespace(tmp_path: Path) -> None:
    """That of the kubeconfig, unless the settings say another."""
    cluster = connect(tmp_path, "http://127.0.0.1:1")
    assert cluster.namespace == "tokpulse"
    other = Cluster.of(Settings(kubeconfig=tmp_path / "kubeconfig", namespace="other"))
    assert other is not None
    assert other.namespace == "other"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HANG, ClusterSilentError),
        (DROP, ClusterSilentError),
        (Answer(500, {}), ClusterSilentError),
        (Answer(429, {}), ClusterSilentError),
        (Answer(401, {}), ClusterForbiddenError),
        (Answer(403, {}), ClusterForbiddenError),
        (Answer(400, {}), ClusterError),
        (Answer(200, "<html>Sign in</html>", "text/html"), ClusterError),
        (Answer(200, {}), ClusterError),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: Answer, error: type[ClusterError]) -> None:
    """Each is an error of its kind, without the token."""
    with web_fake(lambda _: answer) as web, pytest.raises(error) as caught:
        replicas(connect(tmp_path, web.url), "webhook-workers")
    assert "canary" not in str(caught.value)
    assert "webhook-workers" in str(caught.value)


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection may pass."""
    with pytest.raises(ClusterSilentError, match="did not answer"):
        replicas(connect(tmp_path, "http://127.0.0.1:1"), "webhook-workers")
