"""RabbitMQ over TLS, with certificates made for the test: the broker's is checked, and so is ours."""

from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
from pydantic import SecretStr

from dlq.brokers.base import Place
from dlq.brokers.opening import open_queue
from dlq.config.settings import Settings
from dlq.embedded.rabbit import EmbeddedRabbit, find_rabbitmq
from dlq.embedded.redis import HOST, EmbeddedRedis, free_port
from dlq.engine.run import Kind, Request, start
from dlq.errors import BrokerUnreachableError, ConfigError
from tests.certificates import make_certificates
from tests.integration.conformance import CONFIG, KEYS, letter
from tests.servers import missing

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Make an authority and a certificate for 127.0.0.1, which may also be a client's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(files: Files) -> Iterator[tuple[EmbeddedRabbit, int]]:
    """Run a broker that speaks TLS on a second port, to clients with a certificate only; give that port."""
    if find_rabbitmq() is None:
        missing("rabbitmq-server")
    port = free_port()
    options: dict[str, str | int] = {
        "listeners.ssl.1": f"{HOST}:{port}",
        "ssl_options.cacertfile": str(files["ca"]),
        "ssl_options.certfile": str(files["cert"]),
        "ssl_options.keyfile": str(files["key"]),
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
    }
    with EmbeddedRabbit(options=options) as rabbit:
        yield rabbit, port


def settings(port: int, server: EmbeddedRedis, **query: Path) -> Settings:
    """Name the broker by its TLS port, with files in the address."""
    said = "&".join(f"{name}={path}" for name, path in query.items())
    url = f"amqps://guest:guest@{HOST}:{port}/%2F?{said}"
    return Settings(broker_url=SecretStr(url), redis_url=SecretStr(server.url))


def test_a_drain_over_tls(broker: tuple[EmbeddedRabbit, int], files: Files, embedded_server: EmbeddedRedis) -> None:
    """Both show their certificates; the messages move."""
    rabbit, port = broker
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    channel = connection.channel()
    for key in KEYS.values():
        channel.queue_declare(key, durable=True)
    for number in range(300):
        channel.basic_publish("", CONFIG.dlq, letter(number))
    own = {"cacertfile": files["ca"], "certfile": files["cert"], "keyfile": files["key"]}
    with open_queue(settings(port, embedded_server, **own), "webhooks") as (queue, config):
        run = start(queue, config, Request(Kind.DRAIN, "ada"))
        run.wave(1)
        assert run.finish().redriven == queue.depth(Place.LIVE) == 300
    connection.close()


def test_a_stranger_is_not_trusted(
    broker: tuple[EmbeddedRabbit, int], files: Files, embedded_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """A broker that another authority signed is not talked to, nor is one that the system does not know."""
    other = make_certificates(tmp_path)
    own = {"certfile": files["cert"], "keyfile": files["key"]}
    for authority in ({"cacertfile": other["ca"]}, {}):
        with (
            open_queue(settings(broker[1], embedded_server, **own, **authority), "webhooks") as (queue, _),
            pytest.raises(BrokerUnreachableError, match=r"TLS to RabbitMQ failed.*cacertfile"),
        ):
            queue.depth(Place.DLQ)


def test_without_a_certificate_nobody_gets_in(
    broker: tuple[EmbeddedRabbit, int], files: Files, embedded_server: EmbeddedRedis
) -> None:
    """The broker asks for ours."""
    with (
        open_queue(settings(broker[1], embedded_server, cacertfile=files["ca"]), "webhooks") as (queue, _),
        pytest.raises(BrokerUnreachableError),
    ):
        queue.depth(Place.DLQ)


def test_files_that_cannot_be_used_are_named(files: Files, embedded_server: EmbeddedRedis, tmp_path: Path) -> None:
    """A typing error in a path is a mistake in the settings, not a broker that is down."""
    gone = tmp_path / "gone.pem"
    for query in ({"cacertfile": gone}, {"certfile": files["cert"], "keyfile": gone}, {"cacertfile": files["key"]}):
        with pytest.raises(ConfigError, match=r"DLQ_BROKER_URL.*certfile.*cannot be used"):  # noqa: SIM117 - either line may refuse
            with open_queue(settings(1, embedded_server, **query), "webhooks") as (queue, _):
                queue.depth(Place.DLQ)
