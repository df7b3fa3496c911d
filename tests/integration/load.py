"""Clients that ask a cluster again and again, and account for every stream."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.integration.balancer import Balancer, balancing
from tests.integration.node import Gateway, url_of
from tests.integration.questions import (
    Answer,
    Broken,
    Progress,
    Question,
    Refused,
    Wrong,
    ask,
    ask_officially,
)

_DEADLINE = 60.0  # seconds
_PAUSE = 0.1
_EARLY = 3  # lines after which a stream is under way

Condition = Callable[[], bool]
Asking = Callable[[str, Question, Progress], Awaitable[Answer]]


@dataclass(eq=False)
class Stream:
    """One stream: what was asked where, and what came of it."""

    question: Question
    gateway: Gateway
    began: float
    lines: int = 0
    ended: float | None = None
    latest: float = 0.0
    pause: float = 0.0
    """The longest time between two lines, in seconds."""

    def progress(self, _: int) -> None:
        """Take note of a line."""
        now = time.monotonic()
        if self.lines:
            self.pause = max(self.pause, now - self.latest)
        self.latest = now
        self.lines += 1

    @property
    def may_break(self) -> bool:
        """Whether its own gateway was killed meanwhile."""
        return self.gateway.was_killed(since=self.began)


@dataclass
class Report:
    """What became of all streams."""

    complete: list[Stream] = field(default_factory=list)
    broken: list[Stream] = field(default_factory=list)
    """Those whose own gateway was killed; they were asked again."""
    losses: list[str] = field(default_factory=list)
    """What should not have been."""
    notes: list[str] = field(default_factory=list)
    """What was done to the cluster, and when."""

    def __str__(self) -> str:
        pause = max((stream.pause for stream in self.complete), default=0.0)
        counts = f"{len(self.complete)} complete, {len(self.broken)} broken with their gateway"
        lines = [f"{counts}, longest pause {pause:.1f} s, {len(self.losses)} lost", *self.losses]
        return "\n- ".join([*lines, *(self.notes if self.losses else ())])


class Load:
    """Some clients, each of which asks one question after another."""

    def __init__(self, balancer: Balancer, expected: Mapping[Question, Answer]) -> None:
        self.report = Report()
        self._balancer = balancer
        self._expected = expected
        self._questions = itertools.cycle(expected)
        self._stopped = False
        self._current: dict[int, Stream] = {}

    async def run(self, clients: int) -> None:
        """Ask until stopped; return when all streams have ended."""
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._ask_on(number))

    @property
    def streams(self) -> list[Stream]:
        """What every client asks now, or asked last."""
        return list(self._current.values())

    def note(self, what: str) -> None:
        """Take note of something that is done to the cluster now."""
        self.report.notes.append(f"{_now()}: {what}")

    def stop(self) -> None:
        """Ask nothing new."""
        self._stopped = True

    async def under_way(self) -> None:
        """Wait until every client is in the middle of an answer."""
        await self._until(
            lambda: all(it.lines >= _EARLY and not it.ended for it in self._current.values())
        )

    async def turnover(self) -> None:
        """Wait until what runs now has ended, and of each client an answer that began later."""
        now = time.monotonic()
        seen = len(self.report.complete)

        def is_over() -> bool:
            later = [it for it in self.report.complete[seen:] if it.began > now]
            return len(later) >= len(self._current) and all(
                it.began > now for it in self._current.values()
            )

        await self._until(is_over)

    async def _until(self, condition: Condition) -> None:
        async with asyncio.timeout(_DEADLINE):
            while not self._current or not condition():
                await asyncio.sleep(0.01)
                if self.report.losses:
                    return

    async def _ask_on(self, number: int) -> None:
        asking = ask_officially if number % 4 == 3 else ask
        while not self._stopped:
            question = next(self._questions)
            while not await self._ask(number, question, asking):
                await asyncio.sleep(_PAUSE)

    async def _ask(self, number: int, question: Question, asking: Asking) -> bool:
        """Ask once; tell whether that need not be done again."""
        gateway = self._balancer.next()
        stream = Stream(question, gateway, time.monotonic())
        self._current[number] = stream
        try:
            async with asyncio.timeout(_DEADLINE):
                answer = await asking(url_of(gateway), question, stream.progress)
            self._check(stream, answer)
        except Refused:
            self._balancer.refused(gateway)
            return False
        except Broken as error:
            if stream.may_break:
                self.report.broken.append(stream)
                return False
            self._lose(stream, f"broke: {error}")
        except Wrong as error:
            self._lose(stream, f"got {error}")
        except TimeoutError:
            self._lose(stream, f"hangs, {stream.lines} lines have come")
        finally:
            stream.ended = time.monotonic()
        return True

    def _check(self, stream: Stream, answer: Answer) -> None:
        expected = self._expected[stream.question]
        if answer == expected:
            self.report.complete.append(stream)
        else:
            self._lose(stream, f"is another answer:\n  {answer}\n  and not\n  {expected}")

    def _lose(self, stream: Stream, what: str) -> None:
        self.report.losses.append(
            f"{_now()}: {stream.question.name} through {stream.gateway.name}, "
            f"asked {time.monotonic() - stream.began:.1f} s ago, {what}"
        )


def _now() -> str:
    return f"{time.monotonic():.2f} s"


@asynccontextmanager
async def running_load(
    gateways: Sequence[Gateway], expected: Mapping[Question, Answer], clients: int
) -> AsyncIterator[Load]:
    """Let clients ask for as long as the block lasts; fail when a stream was lost."""
    async with balancing(gateways) as balancer:
        load = Load(balancer, expected)
        running = asyncio.create_task(load.run(clients))
        try:
            yield load
            load.stop()
            await running
        finally:
            running.cancel()
            print(load.report)
    assert not load.report.losses, str(load.report)
    assert load.report.complete


async def undisturbed(gateway: Gateway, questions: Sequence[Question]) -> dict[Question, Answer]:
    """Ask each question once, all at the same time, while nothing is wrong."""
    url = url_of(gateway)
    answers = await asyncio.gather(*(ask(url, it, lambda _: None) for it in questions))
    return dict(zip(questions, answers, strict=True))
