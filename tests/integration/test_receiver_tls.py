"""The receiver over TLS, as `python -m deployments.receiver` serves it, with certificates made for the test."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from dlq.embedded.redis import EmbeddedRedis
from tests.certificates import make_certificates
from tests.prefect_site import HOST, READY_SECONDS, free_port
from tests.receivers import BEARER, TOKEN, payload

pytestmark = pytest.mark.timeout(300)
MODULE = (sys.executable, "-m", "deployments.receiver")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make an authority and a certificate for 127.0.0.1, which may also be a client's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make another authority and a certificate of it."""
    return make_certificates(tmp_path_factory.mktemp("stranger"))


def environment(said: Mapping[str, object]) -> dict[str, str]:
    """Give the environment of a receiver whose Prefect does not answer: no alert is posted here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DLQ_"))}
    own = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "DLQ_RECEIVER_TOKEN": TOKEN, "DO_NOT_TRACK": "1"}
    return {**inherited, **own, **{name: str(value) for name, value in said.items()}}


@contextmanager
def serving(folder: Path, said: Mapping[str, object]) -> Iterator[str]:
    """Run a receiver until the block ends; give its address."""
    port = free_port()
    with (folder / "receiver.log").open("wb") as log:
        process = subprocess.Popen(
            MODULE, cwd=folder, env=environment({**said, "DLQ_RECEIVER_PORT": port}), stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while "Uvicorn running" not in (text := (folder / "receiver.log").read_text(encoding="utf-8")):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        yield f"https://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def guarded(
    files: dict[str, Path], embedded_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Serve a receiver that wants client certificates."""
    said = {
        "DLQ_RECEIVER_CERT": files["cert"],
        "DLQ_RECEIVER_KEY": files["key"],
        "DLQ_RECEIVER_CLIENT_CA": files["ca"],
        "DLQ_REDIS_URL": embedded_server.url,
    }
    with serving(tmp_path_factory.mktemp("guarded"), said) as url:
        yield url


def trusting(authority: Path, own: dict[str, Path] | None = None) -> ssl.SSLContext:
    """Make a client's side of TLS: whom it trusts, and the certificate that it brings."""
    context = ssl.create_default_context(cafile=authority)
    if own is not None:
        context.load_cert_chain(own["cert"], own["key"])
    return context


def test_a_client_with_its_certificate_and_the_token_is_served(guarded: str, files: dict[str, Path]) -> None:
    """The certificate alone is not enough: the token is wanted as well."""
    with httpx.Client(verify=trusting(files["ca"], files), timeout=60) as client:
        assert client.post(f"{guarded}/alerts", json=payload(), headers=BEARER).status_code == 200
        assert client.post(f"{guarded}/alerts", json=payload()).status_code == 401
        assert client.get(f"{guarded}/metrics").status_code == 200


def posts(metrics: str) -> list[str]:
    """Pick the counts of posts out of /metrics."""
    return [line for line in metrics.splitlines() if line.startswith("dlq_receiver_posts_total")]


@pytest.mark.parametrize("bring", ["nothing", "a stranger's"])
def test_a_client_without_its_certificate_is_refused(
    guarded: str, files: dict[str, Path], stranger: dict[str, Path], bring: str
) -> None:
    """Before a request is read, whatever token it has: nothing of it is counted."""
    with httpx.Client(verify=trusting(files["ca"], files), timeout=60) as known:
        before = posts(known.get(f"{guarded}/metrics").text)
        context = trusting(files["ca"], stranger if bring == "a stranger's" else None)
        with httpx.Client(verify=context, timeout=60) as client, pytest.raises(httpx.TransportError):
            client.post(f"{guarded}/alerts", json=payload(), headers=BEARER)
        assert posts(known.get(f"{guarded}/metrics").text) == before


def test_nobody_needs_to_trust_another_receiver(
    guarded: str, files: dict[str, Path], stranger: dict[str, Path]
) -> None:
    """A client that trusts another authority does not post, nor does one that speaks plain HTTP."""
    with httpx.Client(verify=trusting(stranger["ca"], files)) as client, pytest.raises(httpx.ConnectError):
        client.get(f"{guarded}/metrics")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{guarded.replace('https', 'http')}/metrics")


def test_without_an_authority_of_clients_the_token_is_enough(
    files: dict[str, Path], stranger: dict[str, Path], embedded_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """Certificate and key may lie in one file; a certificate that a client brings all the same is not looked at."""
    both = tmp_path / "both.pem"
    both.write_bytes(files["cert"].read_bytes() + files["key"].read_bytes())
    with serving(tmp_path, {"DLQ_RECEIVER_CERT": both, "DLQ_REDIS_URL": embedded_server.url}) as url:
        for own in (None, stranger):
            with httpx.Client(verify=trusting(files["ca"], own), timeout=60) as client:
                assert client.post(f"{url}/alerts", json=payload(), headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"DLQ_RECEIVER_KEY": "stranger"}, "DLQ_RECEIVER_CERT and DLQ_RECEIVER_KEY must be a certificate in PEM and"),
        ({"DLQ_RECEIVER_KEY": "locked"}, "DLQ_RECEIVER_CERT and DLQ_RECEIVER_KEY must be a certificate in PEM and"),
        ({"DLQ_RECEIVER_CLIENT_CA": "key"}, "DLQ_RECEIVER_CLIENT_CA must be certificates in PEM"),
        ({"DLQ_RECEIVER_KEY": "/nowhere/key.pem"}, "DLQ_RECEIVER_KEY: Path does not point to a file."),
    ],
    ids=["another key", "a key with a password", "no authority", "no such file"],
)
def test_files_that_cannot_be_used_end_the_start(
    files: dict[str, Path], stranger: dict[str, Path], tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    """Status 2, with the setting's name and what to do, and without a traceback."""
    places = {**{name: str(path) for name, path in files.items()}, "stranger": str(stranger["key"])}
    places["locked"] = str(lock(files["key"], tmp_path / "locked.pem"))
    given = {"DLQ_RECEIVER_CERT": "cert", "DLQ_RECEIVER_KEY": "key", **changed}
    settings = {name: places.get(value, value) for name, value in given.items()}
    ended = subprocess.run(
        MODULE, cwd=tmp_path, env=environment(settings), capture_output=True, text=True, timeout=180, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith(f"receiver: {said}")
    assert "Correct the setting and start again." in ended.stderr


def lock(key: Path, place: Path) -> Path:
    """Write a key again, with a password."""
    read = serialization.load_pem_private_key(key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    place.write_bytes(read.private_bytes(pem, form, secret))
    return place
