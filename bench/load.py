"""Clients of the REST API that ask again and again, and what they waited for."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Answered:
    """One answer; times in seconds on the monotonic clock."""

    asked: float
    first: float
    """When the first token came."""
    ended: float
    tokens: int
    text: str
    records: int = 0
    """Of the stream; 0: nobody counted."""

    @property
    def waited(self) -> float:
        """Seconds to the first token."""
        return self.first - self.asked


async def ask(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Answered:
    """Send one request and read its stream.

    Raises:
        RuntimeError: it was not answered to the end.
    """
    asked, first, pieces = time.monotonic(), 0.0, []
    async with session.post(path, json=body) as answer:
        async for line in answer.content:
            first = first or time.monotonic()
            pieces.append(line)
    lines = [json.loads(line) for line in pieces]
    last = lines[-1] if lines else {}
    if "eval_count" not in last:
        raise RuntimeError(f"the stream ended with {last}")
    text = "".join(
        line["message"]["content"] if "message" in line else line["response"] for line in lines
    )
    return Answered(asked, first, time.monotonic(), last["eval_count"], text)


async def closed_loop(
    urls: Sequence[str], clients: int, seconds: float, body: Callable[[int, int], dict[str, Any]]
) -> list[Answered]:
    """Let clients ask one thing after another for some seconds; give all answers.

    `body` makes the request of a client's turn. The last ones are waited for.
    """
    answers: list[Answered] = []
    end = time.monotonic() + seconds

    async def work(number: int) -> None:
        url = urls[number % len(urls)]
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout()) as session:
            turn = 0
            while time.monotonic() < end:
                answers.append(await ask(session, "/api/generate", body(number, turn)))
                turn += 1

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(work(number))
    return answers


def rate(answers: Sequence[Answered], seconds: float) -> float:
    """Give the tokens a second while all clients were at work.

    An answer that lasted longer counts with its share.
    """
    begin = min(each.asked for each in answers)
    total = 0.0
    for each in answers:
        inside = max(min(each.ended, begin + seconds) - each.first, 0.0)
        total += each.tokens * min(inside / max(each.ended - each.first, 1e-9), 1.0)
    return total / seconds


def percentile(values: Sequence[float], hundredth: int) -> float:
    """Give the value below which so many hundredths lie."""
    return statistics.quantiles(values, n=100)[hundredth - 1] if len(values) > 1 else values[0]
