"""A real API server with etcd and a controller manager, and a thread that plays the kubelet: pods run at once."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.objects import ACCOUNT

TOKENS = {"admin": "admin-token", ACCOUNT: "account-token"}
PATIENCE = 120.0  # seconds for a server to start on a machine with other work


class RealCluster:
    """The addresses and processes of a running cluster; `api_server` may be stopped and continued by its pid."""

    def __init__(self, folder: Path, url: str, api_server: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.url = url
        self.api_server = api_server

    def kubeconfig(self, user: str = "admin", namespace: str = "default") -> Path:
        """Write a kubeconfig for a user."""
        file = self.folder / f"kubeconfig-{user.rpartition(':')[2]}-{namespace}"
        file.write_text(kubeconfig_text(self.url, TOKENS[user], namespace, str(self.folder / "certs/apiserver.crt")))
        return file

    def api_client(self) -> client.ApiClient:
        """Connect as admin, for the test's own preparations."""
        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig()), client_configuration=configuration)
        return client.ApiClient(configuration)


def kubeconfig_text(url: str, token: str, namespace: str, authority: str = "") -> str:
    """Write a kubeconfig with one user."""
    trust = f"certificate-authority: {authority}, " if authority else ""
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: it\n"
        f"clusters: [{{name: it, cluster: {{{trust}server: '{url}'}}}}]\n"
        f"users: [{{name: it, user: {{token: '{token}'}}}}]\n"
        f"contexts: [{{name: it, context: {{cluster: it, user: it, namespace: {namespace}}}}}]\n"
    )


@contextmanager
def real_cluster(folder: Path, programs: Path) -> Iterator[RealCluster]:
    """Run a cluster with the programs of `programs` until the block ends."""
    certs = folder / "certs"
    certs.mkdir(parents=True)
    (folder / "tokens.csv").write_text(
        f'{TOKENS["admin"]},admin,1,"system:masters"\n{TOKENS[ACCOUNT]},{ACCOUNT},2,"system:serviceaccounts"\n'
    )
    _write_key(folder / "account.key")
    etcd_port, peer_port, port = (_free_port() for _ in range(3))
    with ExitStack() as stack:
        etcd_url = f"http://127.0.0.1:{etcd_port}"
        etcd = {
            "data-dir": folder / "etcd",
            "listen-client-urls": etcd_url,
            "advertise-client-urls": etcd_url,
            "listen-peer-urls": f"http://127.0.0.1:{peer_port}",
        }
        program = shutil.which("etcd") or "/usr/bin/etcd"
        stack.enter_context(_process(folder, [program, *_flags(etcd), "--unsafe-no-fsync"]))
        arguments = {
            "etcd-servers": etcd_url,
            "secure-port": port,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "cert-dir": certs,
            "token-auth-file": folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://tests",
            "service-account-key-file": folder / "account.key",
            "service-account-signing-key-file": folder / "account.key",
            "disable-admission-plugins": "ServiceAccount",
            "allow-privileged": "true",
        }
        server = stack.enter_context(_process(folder, [str(programs / "kube-apiserver"), *_flags(arguments)]))
        cluster = RealCluster(folder, f"https://127.0.0.1:{port}", server)
        _wait(lambda: _answers(cluster, server), "kube-apiserver", folder)
        manager = {
            "kubeconfig": cluster.kubeconfig(),
            "controllers": "deployment,replicaset,horizontalpodautoscaling",
            "horizontal-pod-autoscaler-sync-period": "1s",
            "leader-elect": "false",
            "port": 0,
            "secure-port": 0,
        }
        stack.enter_context(_process(folder, [str(programs / "kube-controller-manager"), *_flags(manager)]))
        stack.enter_context(_kubelet(cluster.api_client()))
        yield cluster


@contextmanager
def _kubelet(api_client: client.ApiClient) -> Iterator[None]:
    """Make new pods run: their status is all that Kubernetes sees of them. An image `never` stays pending."""
    core = client.CoreV1Api(api_client)
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            with suppress(Exception):  # the API server is stopped by some tests
                for pod in core.list_pod_for_all_namespaces(_request_timeout=5).items:
                    if pod.status.phase == "Pending" and not pod.spec.containers[0].image.startswith("never"):
                        _run(core, pod)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        api_client.close()


def _run(core: client.CoreV1Api, pod: client.V1Pod) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = pod.spec.containers[0]
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        "containerStatuses": [
            {
                "name": container.name,
                "ready": True,
                "restartCount": 0,
                "image": container.image,
                "imageID": "",
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
    with suppress(ApiException):  # it may be gone again
        core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, {"status": status})


def _answers(cluster: RealCluster, server: subprocess.Popen[bytes]) -> bool:
    if server.poll() is not None:
        raise AssertionError(f"kube-apiserver ended with {server.returncode}; see {cluster.folder}")
    headers = {"Authorization": f"Bearer {TOKENS['admin']}"}
    try:
        with httpx.Client(verify=False, headers=headers, timeout=5) as web:  # noqa: S501 - its certificate is just being made
            return all(web.get(f"{cluster.url}/{path}").is_success for path in ("readyz", "api/v1/namespaces/default"))
    except httpx.TransportError:
        return False


@contextmanager
def _process(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    name = Path(command[0]).name
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ready: Callable[[], bool], what: str, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"{what} is not ready; see its log in {folder}")
        time.sleep(0.2)


def _flags(arguments: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in arguments.items()]


def _write_key(file: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
