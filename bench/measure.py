"""Measures several ways to do one thing in turn, and compares them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping

import psutil

MEGABYTE = 1_000_000

Way = Callable[[], float]
"""Does the thing once and gives the seconds that it took."""


def in_turn(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Do the thing in each way, `rounds` times: what else the machine does hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(way())
    return taken


def timed(work: Callable[[], object]) -> float:
    """Give the seconds that work takes, once what was written before is on the disk."""
    os.sync()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def print_rates(
    title: str,
    taken: Mapping[str, list[float]],
    size: int,
    peer: str,
    goals: Mapping[str, float],
) -> None:
    """Print a table of each way's rate, in itself and as a share of the peer's.

    Args:
        title: what was done.
        taken: the seconds of each way, round by round.
        size: bytes of each round.
        peer: the way to compare with. The share is the median of those of single rounds,
            whose two ways met about the same machine; above 1 is faster than the peer.
        goals: what the shares of some ways ought to be at least.
    """
    print(f"\n### {title}, {size / MEGABYTE:.0f} MB, {len(taken[peer])} rounds\n")
    print(f"| way | MB/s | slowest to fastest | share of {peer} | goal | met |")
    print("|---|---|---|---|---|---|")
    for way, seconds in taken.items():
        rates = sorted(size / MEGABYTE / each for each in seconds)
        share = statistics.median(
            theirs / ours for theirs, ours in zip(taken[peer], seconds, strict=True)
        )
        goal = goals.get(way)
        verdict = f"{goal:.2f} | {'yes' if share >= goal else 'no'}" if goal else "|"
        print(
            f"| {way} | {statistics.median(rates):.0f} | {rates[0]:.0f} to {rates[-1]:.0f} "
            f"| {share:.2f} | {verdict} |"
        )


def busy_seconds() -> float:
    """Tell how long all cores together have been busy since the machine started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
