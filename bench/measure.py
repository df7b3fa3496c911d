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


def print_rates(title: str, taken: Mapping[str, list[float]], size: int, peer: str) -> None:
    """Print each way's median rate and spread, and its ratio to the peer's.

    `size` is in bytes; above 1 is faster than the peer.
    """
    print(f"{title}, {size / MEGABYTE:.0f} MB, {len(taken[peer])} rounds")
    reference = statistics.median(taken[peer])
    for name, seconds in taken.items():
        rates = sorted(size / MEGABYTE / each for each in seconds)
        median = statistics.median(seconds)
        print(
            f"  {name:32} {size / MEGABYTE / median:8.0f} MB/s"
            f"  ({rates[0]:.0f} to {rates[-1]:.0f})  {reference / median:5.2f} of {peer}"
        )


def busy_seconds() -> float:
    """Tell how long all cores together have been busy since the machine started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
