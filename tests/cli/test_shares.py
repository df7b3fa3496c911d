"""How several workers divide a machine."""

import pytest

from cli.shares import Share, divide, serving_cpus


@pytest.mark.parametrize(
    ("workers", "gpus", "shares"),
    [
        (1, [], [Share()]),
        (1, ["0", "1"], [Share()]),
        (2, [], [Share(None, 2), Share(None, 2)]),
        (2, ["0", "1", "2"], [Share("0"), Share("1")]),
        (2, ["3"], [Share("3", 2), Share("3", 2)]),
        (3, ["0", "1"], [Share("0", 2), Share("1"), Share("0", 2)]),
    ],
)
def test_divide(workers: int, gpus: list[str], shares: list[Share]) -> None:
    assert divide(workers, gpus) == shares


@pytest.mark.parametrize(
    ("cpus", "engines", "serving"),
    [
        ({0}, 1, []),
        ({0, 1}, 1, [1]),
        ({0, 1}, 4, [1]),
        ({2, 4, 6}, 1, [4, 6]),
        (set(range(8)), 1, [1, 2, 3, 4, 5, 6, 7]),
        (set(range(8)), 16, [4, 5, 6, 7]),
    ],
)
def test_each_engine_has_a_cpu_that_nobody_answers_on(
    cpus: set[int], engines: int, serving: list[int]
) -> None:
    assert serving_cpus(cpus, engines) == serving
