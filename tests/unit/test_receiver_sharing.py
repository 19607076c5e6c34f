"""What posts share: questions under way, looks of a second, and the order of firing and resolved."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from deployments.receiver.answers import NotNowError
from deployments.receiver.starting import Seen
from deployments.receiver.tools import Receiver
from dlq.errors import PrefectUnreachableError

RUN, OTHER = UUID(int=1), UUID(int=2)


@dataclass
class FakePrefect:
    """Counts its looks; each answer has the number of the look as its state."""

    looks: int = 0
    fails: bool = False
    answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, flow_run: UUID) -> Seen:
        """Answer when it may."""
        self.looks += 1
        number = self.looks
        await self.answer.wait()
        if self.fails:
            raise PrefectUnreachableError("Prefect does not answer.")
        return Seen(flow_run, datetime(2026, 11, 25, tzinfo=UTC), str(number), None)


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        """Give the seconds."""
        return self.now


def receiver_of(prefect: Any, clock: Clock | None = None) -> Receiver:
    """Make a receiver that looks at nothing but its Prefect."""
    nothing: Any = None
    return Receiver(nothing, prefect, nothing, clock=clock or Clock())


async def settle() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_many_ask_at_once_is_asked_once() -> None:
    """One look for all that wait, another for another run; one who gives up takes nothing from the others."""

    async def scenario() -> None:
        prefect = FakePrefect()
        receiver = receiver_of(prefect)
        asking = [asyncio.create_task(receiver.look(run)) for run in (RUN, RUN, RUN, OTHER)]
        await settle()
        assert prefect.looks == 2
        asking[0].cancel()
        prefect.answer.set()
        with pytest.raises(asyncio.CancelledError):
            await asking[0]
        seen = [found.state if (found := await task) else None for task in asking[1:]]
        assert seen == ["1", "1", "2"]

    asyncio.run(scenario())


def test_what_fails_fails_for_all_and_is_tried_anew() -> None:
    """Each that waited hears why; the next one asks again."""

    async def scenario() -> None:
        prefect = FakePrefect(fails=True)
        prefect.answer.set()
        receiver = receiver_of(prefect)
        answers = await asyncio.gather(*(receiver.look(RUN) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [PrefectUnreachableError] * 3
        await settle()
        prefect.fails = False
        assert await receiver.look(RUN) is not None
        assert prefect.looks == 2

    asyncio.run(scenario())


def test_a_look_is_good_for_a_second_from_when_it_was_asked_for() -> None:
    """Half a second on, the next is asked for and nobody waits; after the second a post waits for a new one."""

    async def scenario() -> None:
        prefect, clock = FakePrefect(), Clock()
        receiver = receiver_of(prefect, clock)

        async def state() -> str:
            seen = await receiver.look(RUN)
            assert seen is not None
            return seen.state

        first = asyncio.create_task(state())
        await settle()
        clock.now = 0.4  # the answer takes its time, and is of when it was asked for
        prefect.answer.set()
        assert await first == "1"
        clock.now = 0.6
        prefect.answer.clear()
        assert [await state(), await state()] == ["1", "1"]
        await settle()
        assert prefect.looks == 2
        clock.now = 1.1
        waits = asyncio.create_task(state())
        await settle()
        assert not waits.done()
        prefect.answer.set()
        assert await waits == "2"

    asyncio.run(scenario())


def test_resolved_alerts_wait_for_the_posts_before_them() -> None:
    """It may be they that fired; those that come later, and other queues, wait for nothing. One works at a time."""

    async def scenario() -> list[str]:
        receiver, said = receiver_of(FakePrefect()), []
        go = asyncio.Event()

        async def fires(queue: str, name: str) -> None:
            with receiver.firing(queue):
                await go.wait()
                said.append(name)

        async def resolves(queue: str, name: str) -> None:
            async with receiver.resolved(queue):
                said.append(f"{name} begins")
                await settle()
                said.append(f"{name} ends")

        first = asyncio.create_task(fires("webhooks", "fired"))
        await settle()
        after = [asyncio.create_task(resolves("webhooks", name)) for name in ("one", "two")]
        await resolves("jobs", "other")
        with receiver.firing("webhooks"):
            said.append("later")
        go.set()
        await asyncio.gather(first, *after)
        return said

    assert asyncio.run(scenario()) == [
        *("other begins", "other ends", "later", "fired"),
        *("one begins", "one ends", "two begins", "two ends"),
    ]


def test_resolved_alerts_do_not_wait_for_ever() -> None:
    """They are sent again, and the post that takes so long is not disturbed."""

    async def scenario() -> None:
        receiver = receiver_of(FakePrefect())
        with (
            patch("deployments.receiver.tools._WAIT", 0.0),
            receiver.firing("webhooks"),
            pytest.raises(NotNowError, match="webhooks"),
        ):
            await receiver.resolved("webhooks").__aenter__()
        async with receiver.resolved("webhooks"):
            pass

    asyncio.run(scenario())
