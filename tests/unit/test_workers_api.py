"""The workers' API: health, and a concurrency that is raised and put back."""

from collections.abc import Iterator

import pytest

from dlq.actions.book import Book, State
from dlq.actions.concurrency import put_concurrency_back, raise_concurrency
from dlq.actions.plan import Kind, Planned
from dlq.brokers.memory_notebook import MemoryNotebook
from dlq.config.settings import Settings
from dlq.errors import WorkersError, WorkersSilentError
from dlq.systems.workers_api import WorkersApi
from tests.web_fake import DROP, HANG, Answer, WebFake, web_fake
from tests.workers_fake import WorkersFake


@pytest.fixture
def workers() -> WorkersFake:
    """Give workers with a concurrency of 5."""
    return WorkersFake()


@pytest.fixture
def web(workers: WorkersFake) -> Iterator[WebFake]:
    """Serve their API."""
    with web_fake(workers.answer) as running:
        yield running


@pytest.fixture
def api(web: WebFake) -> Iterator[WorkersApi]:
    """Connect to it."""
    connected = WorkersApi.of(Settings(workers_url=web.url, workers_token="tok-canary", workers_timeout=0.5))  # noqa: S106
    assert connected is not None
    yield connected
    connected.close()


@pytest.fixture
def book() -> Book:
    """Begin the actions of a run."""
    return Book(MemoryNotebook(), "run-1")


def test_without_an_address_there_is_none() -> None:
    """It is not configured, which is no failure."""
    assert WorkersApi.of(Settings()) is None


@pytest.mark.parametrize(
    ("answer", "healthy", "said"),
    [
        (Answer(200, {"status": "ok", "checks": {"database": "ok"}}), True, "answers 200, ok"),
        (Answer(200, "fine", "text/plain"), True, "answers 200"),
        (Answer(503, {"status": "error"}), False, "answers 503, error"),
        (Answer(200, {"checks": {"database": {"status": "down"}}}), False, "database down"),
        (Answer(200, {"status": "unhealthy"}), False, "unhealthy"),
        (Answer(404, {}), None, "answers 404"),
        (Answer(401, {}), None, "answers 401"),
        (HANG, None, "does not answer"),
        (DROP, None, "does not answer"),
    ],
)
def test_health(workers: WorkersFake, api: WorkersApi, answer: Answer, healthy: bool | None, said: str) -> None:  # noqa: FBT001
    """A bad answer is not healthy; no answer, or none that is about health, is unknown."""
    workers.health = answer
    found = api.health()
    assert found.healthy is healthy
    assert said in found.note


def test_the_login_is_sent(web: WebFake, api: WorkersApi) -> None:
    """As a bearer token, which appears in no note."""
    assert "canary" not in repr(api.health()) + api.shown
    assert web.asked[0].headers["Authorization"] == "Bearer tok-canary"


def test_raise_and_put_back(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """From 5 to 20 and to 5 again."""
    action = raise_concurrency(api, book, 20)
    assert action is not None
    assert (action.before, action.state, workers.concurrency) == (5, State.DONE, 20)
    assert put_concurrency_back(api, book, action).state is State.UNDONE
    assert (workers.concurrency, workers.posts) == (5, [{"concurrency": 20}, {"concurrency": 5}])


def test_a_concurrency_that_is_high_already_stays(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """Nothing is sent, and nothing is to be undone."""
    workers.concurrency = 30
    assert raise_concurrency(api, book, 20) is None
    assert (workers.posts, book.actions()) == ([], [])


def test_a_second_call_sends_nothing(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """The action is taken once a run."""
    raise_concurrency(api, book, 20)
    raise_concurrency(api, book, 20)
    assert len(workers.posts) == 1


def test_an_api_that_does_not_tell_the_value_before(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """The value is set, and the undo says that it cannot put back what nobody knows."""
    workers.tells = False
    action = raise_concurrency(api, book, 20)
    assert action is not None
    assert (action.before, action.state) == (None, State.DONE)
    assert put_concurrency_back(api, book, action).state is State.LEFT
    assert workers.concurrency == 20


def test_what_somebody_else_set_is_left(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """It is said instead."""
    action = raise_concurrency(api, book, 20)
    assert action is not None
    workers.concurrency = 12
    left = put_concurrency_back(api, book, action)
    assert (left.state, left.note, workers.concurrency) == (State.LEFT, "somebody set 12 since", 12)


def test_an_api_that_dies_before_its_answer(workers: WorkersFake, api: WorkersApi, book: Book) -> None:
    """The value from before was written down first, and the next call goes on with it."""
    asked = iter([Answer(200, {"concurrency": 5}), DROP, DROP])
    workers.broken = None
    real = workers.answer

    def flaky(request: object) -> Answer:
        return next(asked, None) or real(request)  # type: ignore[arg-type]

    with web_fake(flaky) as web:
        dying = WorkersApi.of(Settings(workers_url=web.url))
        assert dying is not None
        with pytest.raises(WorkersSilentError, match="does not answer"):
            raise_concurrency(dying, book, 20)
        dying.close()
    assert [(action.before, action.state) for action in book.actions()] == [(5, State.INTENDED)]
    workers.concurrency = 20  # it had been set, only the answer was lost
    action = raise_concurrency(api, book, 20)
    assert action is not None
    assert (action.before, action.state) == (5, State.DONE)


@pytest.mark.parametrize(("status", "error"), [(403, WorkersError), (503, WorkersSilentError)])
def test_refusals(workers: WorkersFake, api: WorkersApi, status: int, error: type[WorkersError]) -> None:
    """A refusal is final, a server error may pass."""
    workers.broken = Answer(status, {})
    with pytest.raises(error, match=str(status)):
        api.set_concurrency(20)


def test_the_words_of_a_plan() -> None:
    """A planned action says what and why."""
    assert Planned(Kind.CONCURRENCY, "workers", 20, "growing").summary == (
        "raise the concurrency of the workers to 20: growing"
    )
