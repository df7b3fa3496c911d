"""How much slower or faster a worker is than the others."""

import random

import pytest

from services.inference.pace import Paces


def measured(**seconds: float) -> Paces:
    """Let workers serve requests whose lengths differ, at paces of their own."""
    lengths = random.Random(1)
    paces = Paces()
    for _ in range(200):
        for worker, mean in seconds.items():
            paces.served(worker, "m", mean * lengths.uniform(0.5, 1.5))
    return paces


def test_a_slow_machine_is_slow() -> None:
    paces = measured(fast=1, slow=3)
    assert 2.4 < paces.of("slow", "m") / paces.of("fast", "m") < 3.6


def test_equal_machines_are_equal() -> None:
    paces = measured(a=1, b=1, c=1)
    assert [paces.of(worker, "m") for worker in "abc"] == [1, 1, 1]


def test_what_is_not_known_is_like_the_others() -> None:
    paces = measured(fast=1, slow=3)
    assert paces.of("slow", "another model") == 1
    paces.served("new", "m", 100)
    assert paces.of("new", "m") == 1


@pytest.mark.parametrize(("seconds", "pace"), [(1e6, 4), (0, 0.25)])
def test_no_machine_is_written_off(seconds: float, pace: float) -> None:
    paces = measured(a=1, b=1)
    for _ in range(100):
        paces.served("odd", "m", seconds)
        paces.served("a", "m", 1)
        paces.served("b", "m", 1)
    assert paces.of("odd", "m") == pace
