"""A load of so many streams, each of which asks again as soon as it has its answer."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.load import Answered, percentile
from bench.processes import CLIENTS, Tree, Usage

# So many answers one after another are measured at least: streams that begin together end
# together, and what is counted is to hold whole waves of them.
_WAVES = 3

Ask = Callable[[int, int], Awaitable[Answered]]
"""Has a client get one answer of so many tokens."""


@dataclass(frozen=True)
class Load:
    """What is asked for."""

    streams: int
    tokens: int
    """Of each answer."""
    seconds: float
    """That are measured at least."""
    together: bool = False
    """All streams ask at the same moment, and as answers are of one length go on doing so;
    else they are spread over the time that an answer takes."""


@dataclass(frozen=True)
class Measured:
    """What came of it; times in seconds on the monotonic clock."""

    began: float
    ended: float
    answers: Sequence[Answered]
    """All that had begun before the end, also those before the begin."""


async def run_load(ask: Ask, load: Load, processes: Tree) -> tuple[Measured, Usage]:
    """Let every stream have one answer, then measure; the last answers are waited for.

    Tell also what the processes took meanwhile.
    """
    answers: list[Answered] = []
    warm = asyncio.Event()
    over = False

    def longest() -> float:
        return max(each.ended - each.asked for each in answers)

    async def work(client: int) -> None:
        answers.append(await ask(client, load.tokens))
        if len(answers) == load.streams:
            warm.set()
        if not load.together:
            await warm.wait()
            await asyncio.sleep(client / load.streams * longest())
        while not over:
            answers.append(await ask(client, load.tokens))

    async def measure() -> tuple[float, float, Usage]:
        nonlocal over
        await warm.wait()
        if not load.together:
            await asyncio.sleep(longest())
        taken, began = processes.usage(), time.monotonic()
        await asyncio.sleep(max(load.seconds, _WAVES * longest()))
        taken, ended = processes.usage() - taken, time.monotonic()
        over = True
        return began, ended, taken

    async with asyncio.TaskGroup() as group:
        measuring = group.create_task(measure())
        for client in range(load.streams):
            group.create_task(work(client))
    began, ended, taken = measuring.result()
    return Measured(began, ended, answers), taken


@dataclass(frozen=True)
class Figures:
    """A measurement in a few numbers."""

    answers: float
    """That were counted."""
    rate: float
    """Tokens a second."""
    first_p50: float
    """Seconds to the first token."""
    first_p99: float
    records: float
    """Of an answer: fewer than its tokens where clients get several at once."""
    costs: dict[str, float]
    """Seconds of a core for a token, by kind of process; of the clients, too."""

    @property
    def cost(self) -> float:
        """Seconds of a core for a token in all processes but the clients'."""
        return sum(cost for kind, cost in self.costs.items() if kind != CLIENTS)


def summarize(measured: Measured, usage: Usage) -> Figures:
    """Count the answers between begin and end; one that is half in counts half."""
    began, ended = measured.began, measured.ended
    count = tokens = 0.0
    for each in measured.answers:
        inside = max(min(each.ended, ended) - max(each.asked, began), 0.0)
        count += inside / (each.ended - each.asked)
        tokens += each.tokens * inside / (each.ended - each.asked)
    within = [each for each in measured.answers if began <= each.asked <= ended]
    waits = [each.waited for each in within]
    return Figures(
        answers=count,
        rate=tokens / (ended - began),
        first_p50=percentile(waits, 50),
        first_p99=percentile(waits, 99),
        records=statistics.mean(each.records for each in within),
        costs={kind: seconds / tokens for kind, seconds in usage.seconds.items()},
    )
