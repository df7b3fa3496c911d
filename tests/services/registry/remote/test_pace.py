from collections.abc import AsyncIterator

import pytest

from services.registry.remote.errors import Transient
from services.registry.remote.pace import Pace, Speeds, StallPolicy, watched

POLICY = StallPolicy(window=10, floor=100)


@pytest.mark.parametrize(
    ("came", "slow"),
    [
        ([(1, 9)], None),  # no whole window yet
        ([(1, 5), (1, 5)], 0.2),
        ([(500, 5), (499, 5)], 99.9),
        ([(500, 5), (500, 5)], None),
        ([(100_000, 10), (1, 10)], 0.1),  # each window counts for itself
    ],
)
def test_a_window_is_too_slow(came: list[tuple[int, float]], slow: float | None) -> None:
    pace = Pace(POLICY)
    assert [pace.too_slow(*one) for one in came][-1] == slow


def test_what_others_gave_is_expected() -> None:
    speeds = Speeds()
    for _ in range(4):
        speeds.add(1_000_000, 1)
    assert speeds.expected == 0
    speeds.add(1, 1)  # one slow one does not count
    assert speeds.expected == 100_000
    assert Pace(POLICY, speeds.expected).too_slow(500_000, 10) == 50_000
    assert Pace(POLICY).too_slow(500_000, 10) is None


def test_without_a_floor_any_speed_will_do() -> None:
    assert Pace(StallPolicy(10, 0)).too_slow(1, 10_000) is None


async def test_the_time_of_whoever_takes_the_bytes_does_not_count() -> None:
    clock = [0.0]

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            clock[0] += 1
            yield bytes(1000)
        clock[0] += 60
        yield b"x"

    given = watched(pieces(), Pace(POLICY), lambda: clock[0])
    for _ in range(6):
        assert await anext(given)
        clock[0] += 1000
    with pytest.raises(Transient, match="it gives 77 bytes a second"):
        await anext(given)
