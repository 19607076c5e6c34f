"""`POST /slack/interactions`: somebody pressed Approve or Reject in Slack."""

import asyncio
import time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deployments.receiver.answers import problem, responses
from deployments.receiver.tools import LOG, Receiver, Tools
from dlq.admission.approvals import wake_up
from dlq.brokers.opening import open_notebook
from dlq.config.settings import Settings
from dlq.errors import (
    ApprovalError,
    BadArgumentError,
    ChannelError,
    NotAllowedError,
    NotGenuineError,
    PrefectUnreachableError,
)
from dlq.notices import show
from dlq.notices.channels import SLACK, not_configured, slack
from dlq.notices.slack_buttons import Press, check, decide, read_press
from dlq.records.notebook import Notebook

router = APIRouter(tags=["slack"])


@router.post(
    "/slack/interactions",
    responses=responses(),
    summary="Take in what was pressed in Slack",
    response_description="The answer is kept, or the person was told why not.",
)
async def post_interaction(
    request: Request,
    tools: Tools,
    x_slack_request_timestamp: Annotated[str, Header()] = "",
    x_slack_signature: Annotated[str, Header()] = "",
) -> Response:
    """Keep the answer to a run's question, once; the first answer stands.

    The request proves itself by Slack's signature, not by the receiver's credentials. Slack wants its answer within
    three seconds, so the message is brought up to date afterwards.
    """
    body = await request.body()
    try:
        check(tools.settings, body, x_slack_request_timestamp, x_slack_signature, time.time())
        press = read_press(body)
    except NotGenuineError as exc:
        LOG.warning("a request that says to be Slack's was refused: %s", exc.detail)
        return problem(401, str(exc))
    except BadArgumentError as exc:
        return problem(400, str(exc))
    if press is None:
        return Response()
    if press.queue not in tools.settings.queues:
        return problem(422, "The button is about a queue that is not known here.")
    told = await tools.notebooks.use(press.queue, lambda notebook: _answered(tools.settings, notebook, press))
    tools.later(asyncio.to_thread(_follow, tools, press, told))
    if not told:
        tools.later(_wake(tools, press))
    return Response()


async def _wake(tools: Receiver, press: Press) -> None:
    """Let the flow run go on that waited for the answer; what fails here, its reminder does later."""
    waits = await tools.notebooks.use(press.queue, lambda notebook: wake_up(notebook, press.run_id))
    if waits is None:
        return
    flow_run, said = waits
    try:
        await tools.prefect.resume(UUID(flow_run), said)
    except (PrefectUnreachableError, ObjectNotFound, PrefectHTTPStatusError) as exc:
        LOG.warning("run %s was answered and is not woken yet: %s", press.run_id, exc)


def _answered(settings: Settings, notebook: Notebook, press: Press) -> str:
    """Keep the answer; give what the one who pressed must hear, nothing when all went well."""
    try:
        decision = decide(settings, notebook, press)
    except (NotAllowedError, ApprovalError) as exc:
        LOG.warning("%s pressed %s on run %s: %s", press.who, press.answer, press.run_id, exc.detail)
        return str(exc)
    return "" if decision.who == press.who[:200] else f"The plan was {decision.words} before."


def _follow(tools: Receiver, press: Press, told: str) -> None:
    """Bring the incident's message up to date, and tell the one who pressed what did not work."""
    if SLACK in not_configured(tools.settings):
        return
    with open_notebook(tools.settings, press.queue) as notebook:
        show(tools.settings, notebook, press.run_id, press.queue, at_once=True)
    if told:
        try:
            slack(tools.settings).whisper(press.user, told)
        except ChannelError as exc:
            LOG.warning("%s was not told: %s", press.who, exc.detail)
