"""How several workers divide a machine."""

import pytest

from cli.shares import Share, divide


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
