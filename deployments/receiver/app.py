"""The application: routes, limits, errors, and what lives as long as it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from prefect.client.orchestration import get_client

from deployments.receiver import answers
from deployments.receiver.body import BodyLimit
from deployments.receiver.counters import Counters
from deployments.receiver.exporter import keep_samples
from deployments.receiver.notebooks import Notebooks
from deployments.receiver.routes import ROUTERS
from deployments.receiver.starting import Prefect
from deployments.receiver.tools import Receiver
from dlq.config.settings import Settings

_ABOUT = "Alerts come in from Alertmanager, runs of Prefect deployments go out: one incident a queue."
_WRONG = "The request is not what this address takes; the reason is in the body."


def create_app(settings: Settings) -> FastAPI:
    """Put the application together; it connects when it starts."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        async with get_client() as client:
            app.state.receiver = Receiver(settings, Prefect(client), Notebooks(settings), Counters.of(settings.queues))
            sampling = asyncio.create_task(keep_samples(settings))
            try:
                yield
            finally:
                sampling.cancel()
                with suppress(asyncio.CancelledError):
                    await sampling
                await app.state.receiver.close()

    app = FastAPI(title="dlq-drain receiver", version=version("dlq-drain"), description=_ABOUT, lifespan=living)
    answers.install(app)
    app.add_middleware(BodyLimit)
    for router in ROUTERS:
        app.include_router(router, responses={422: {"model": answers.Problem, "description": _WRONG}})
    return app
