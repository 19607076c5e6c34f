"""The receiver against what its own OpenAPI page allows, and against what it does not."""

from collections.abc import Callable, Iterator

import httpx
import pytest
import redis
import schemathesis
from hypothesis import HealthCheck, given, settings
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr
from schemathesis import BaseSchema, Case, GenerationMode, Response
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from dlq.config.settings import Settings
from dlq.embedded.redis import EmbeddedRedis
from flows.incident import incident
from tests.receivers import BEARER, TOKEN, receiving

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("default"),  # Prefect's server and schemathesis warn by themselves
]
LONGEST = 30.0  # seconds, on a busy machine: what hangs takes for ever
FEW = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
MODES = list(GenerationMode)


@pytest.fixture(scope="module")
def answering(embedded_server: EmbeddedRedis, prefect_server: None) -> Iterator[BaseSchema]:  # noqa: ARG001 - it must run
    """Serve a receiver whose Prefect and Redis answer; give the schema that it publishes."""
    incident.to_deployment(name="incident").apply()
    with redis.Redis.from_url(embedded_server.url) as client:
        client.flushall()
    told = Settings(redis_url=SecretStr(embedded_server.url), receiver_token=SecretStr(TOKEN))
    with receiving(told) as receiver:
        yield schemathesis.openapi.from_url(f"{receiver.url}/openapi.json")


@pytest.fixture(scope="module")
def deserted(embedded_server: EmbeddedRedis) -> Iterator[BaseSchema]:
    """Serve a receiver whose Prefect does not answer."""
    told = Settings(redis_url=SecretStr(embedded_server.url), receiver_token=SecretStr(TOKEN))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), receiving(told) as receiver:
        yield schemathesis.openapi.from_url(f"{receiver.url}/openapi.json")


def fuzz(schema: BaseSchema, mode: GenerationMode, look: Callable[[Case], None], path: str = "") -> None:
    """Make requests of every operation, as the page allows them or as it does not, and look at each."""
    operations = [found.ok() for found in schema.get_all_operations()]
    tried = [one for one in operations if one.path == path or not path]
    assert tried
    for operation in tried:
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters):
            continue  # there is nothing in it that could be wrong
        FEW(given(case=operation.as_strategy(generation_mode=mode))(lambda case: look(case)))()  # noqa: PLW0108 - it asks for the name


def look_at(response: Response) -> None:
    """Assert what holds of every answer."""
    assert response.status_code < 500 or (response.status_code == 503 and "retry-after" in response.headers)
    assert "Traceback" not in response.text
    assert 'File "' not in response.text


@pytest.mark.parametrize("mode", MODES)
def test_no_request_breaks_it(answering: BaseSchema, mode: GenerationMode) -> None:
    """Each answer is one that the page documents; no server error, no traceback, no hang."""

    def look(case: Case) -> None:
        response = case.call(headers=BEARER, timeout=LONGEST, allow_redirects=False)
        look_at(response)
        if response.status_code != 503:
            case.validate_response(response, checks=[status_code_conformance, response_schema_conformance])

    fuzz(answering, mode, look)


@pytest.mark.parametrize("mode", MODES)
def test_no_request_breaks_it_while_prefect_is_away(deserted: BaseSchema, mode: GenerationMode) -> None:
    """The only server error is the honest 503, which says when to come again."""
    fuzz(deserted, mode, lambda case: look_at(case.call(headers=BEARER, timeout=LONGEST)), "/alerts")


@pytest.mark.parametrize("mode", MODES)
def test_nobody_gets_in_without_credentials(answering: BaseSchema, mode: GenerationMode) -> None:
    """Whatever the body is: 401."""

    def look(case: Case) -> None:
        assert case.call(headers={"Authorization": "Bearer guess"}, timeout=LONGEST).status_code == 401

    fuzz(answering, mode, look, "/alerts")


def test_the_page_of_the_openapi_is_on(answering: BaseSchema) -> None:
    """People can read it, and it says what /alerts wants and answers."""
    base = str(answering.location).removesuffix("/openapi.json")
    assert httpx.get(f"{base}/docs").status_code == 200
    said = httpx.get(f"{base}/openapi.json").json()["paths"]["/alerts"]["post"]
    assert set(said["responses"]) == {"200", "400", "401", "408", "413", "422", "503"}
    assert sorted(name for way in said["security"] for name in way) == ["HTTPBasic", "HTTPBearer"]
