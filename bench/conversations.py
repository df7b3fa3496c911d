"""Conversations of several turns, routed in two ways: `python -m bench.conversations`.

Simulated engines remember what they computed, as real ones do, and a prompt takes its time. So
a turn that goes where the one before it was waits for its own question alone. The ways take
turns, each time on a fresh cluster; the clients are the same.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from bench.cluster import MODEL, running_cluster
from bench.load import Answered, ask, percentile

_WAYS = ("affinity", "round-robin")
_QUESTION = 60  # words
_ANSWER = 40  # tokens
_PAUSE = 0.3  # seconds in which a client reads


@dataclass
class Round:
    """What one run of the load gave."""

    first: list[float]
    """Seconds to the first token, of all turns."""
    later: list[float]
    """Of all turns but the first of a conversation."""
    cached: float
    """The share of prompt tokens that an engine found in its cache."""
    seconds: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--routers", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=36, help="that go on at once")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt-time", default="500us", help="of an engine, for each token")
    arguments = parser.parse_args()
    print(
        f"{arguments.conversations} conversations of {arguments.turns} turns at once,"
        f" {arguments.workers} workers, {arguments.routers} router(s), a prompt's token in"
        f" {arguments.prompt_time}; medians of {arguments.rounds} rounds"
    )
    found: dict[str, list[Round]] = {way: [] for way in _WAYS}
    for _ in range(arguments.rounds):
        for way in _WAYS:
            found[way].append(measure(way, arguments))
    for way, rounds in found.items():
        _report(way, rounds)
    gain = _mean_wait(found["round-robin"]) / _mean_wait(found["affinity"])
    print(f"  first token with affinity {gain:.2f} times as soon as in turn, on the average")


def measure(way: str, arguments: argparse.Namespace) -> Round:
    """Run the conversations on a fresh cluster."""
    settings = {
        "ROUTING": way,
        "SIMULATED_TOKEN_TIME": "30ms",
        "SIMULATED_PROMPT_TIME": arguments.prompt_time,
        "SIMULATED_LOAD_TIME": "0s",
        "MAX_SEQUENCES": "16",
        "CONTEXT_LENGTH": "8192",
        "LOG_LEVEL": "WARNING",
    }
    with (
        TemporaryDirectory() as folder,
        running_cluster(
            Path(folder),
            workers=arguments.workers,
            routers=arguments.routers,
            gateways=arguments.routers,
            settings=settings,
        ) as cluster,
    ):
        began = time.monotonic()
        turns = asyncio.run(_talk(cluster.urls, arguments.conversations, arguments.turns))
        seconds = time.monotonic() - began
    counts = cluster.counts
    return Round(
        first=[turn.waited for turns_ in turns for turn in turns_],
        later=[turn.waited for turns_ in turns for turn in turns_[1:]],
        cached=counts["cached_tokens"] / counts["prompt_tokens"],
        seconds=seconds,
    )


async def _talk(urls: Sequence[str], conversations: int, turns: int) -> list[list[Answered]]:
    return await asyncio.gather(
        *(_converse(urls, number, turns) for number in range(conversations))
    )


async def _converse(urls: Sequence[str], number: int, turns: int) -> list[Answered]:
    """Talk for some turns, each through the next gateway, as behind a load balancer."""
    messages: list[dict[str, str]] = []
    answers = []
    await asyncio.sleep(number * _PAUSE / 10)
    for turn in range(turns):
        url = urls[(number + turn) % len(urls)]
        messages.append({"role": "user", "content": _question(number, turn)})
        options = {"num_predict": _ANSWER, "temperature": 0}
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout()) as session:
            body = {"model": MODEL, "messages": messages, "options": options}
            answers.append(await ask(session, "/api/chat", body))
        messages.append({"role": "assistant", "content": answers[-1].text})
        await asyncio.sleep(_PAUSE)
    return answers


def _question(number: int, turn: int) -> str:
    """Make a question of words that are one token each."""
    words = ("the", "world", "of", "water", "and", "light")
    return f"{number} {turn}" + "".join(
        f" {words[(number * turn + place) % len(words)]}" for place in range(_QUESTION)
    )


def _mean_wait(rounds: list[Round]) -> float:
    return statistics.median(statistics.mean(each.first) for each in rounds)


def _report(way: str, rounds: list[Round]) -> None:
    median = statistics.median
    print(
        f"  {way:12} first token: mean {_mean_wait(rounds) * 1000:5.0f} ms,"
        f" after the first turn {median(statistics.mean(r.later) for r in rounds) * 1000:5.0f} ms,"
        f" p99 {median(percentile(r.first, 99) for r in rounds) * 1000:5.0f} ms;"
        f"  found in a cache {median(r.cached for r in rounds):4.0%} of prompt tokens;"
        f"  {median(r.seconds for r in rounds):5.1f} s for all"
    )


if __name__ == "__main__":
    main()
