from pathlib import Path

import pytest

from workers.cache_eviction import Cached, Space, choose_evictions, could_ever_fit


def entry(name: str, size: int, used_at: float, held: bool = False) -> Cached:
    return Cached(Path(name), size, used_at, held)


OLD, MIDDLE, NEW = entry("old", 10, 1), entry("middle", 20, 2), entry("new", 30, 3)
ALL = [NEW, OLD, MIDDLE]
OLD_HELD = [entry("old", 10, 1, held=True), MIDDLE, NEW]
ALL_HELD = [entry(it.path.name, it.size, it.used_at, held=True) for it in ALL]
LINKED = [entry("linked", 0, 0), *ALL]


@pytest.mark.parametrize(
    ("cached", "need", "space", "names"),
    [
        ([], 5, Space(limit=10, free=100), []),
        ([], 11, Space(limit=10, free=100), None),
        (ALL, 40, Space(limit=100, free=100), []),
        (ALL, 41, Space(limit=100, free=100), ["old"]),
        (ALL, 51, Space(limit=100, free=100), ["old", "middle"]),
        (ALL, 100, Space(limit=100, free=100), ["old", "middle", "new"]),
        (ALL, 101, Space(limit=100, free=100), None),
        # What others have written to the disk counts as well.
        (ALL, 40, Space(limit=100, free=39), ["old"]),
        (ALL, 40, Space(limit=100, free=0), ["old", "middle", "new"]),
        (ALL, 70, Space(limit=200, free=9), None),
        # What is in use stays, and one used later goes for it.
        (OLD_HELD, 41, Space(limit=100, free=100), ["middle"]),
        (OLD_HELD, 95, Space(limit=100, free=100), None),
        (ALL_HELD, 40, Space(limit=100, free=100), []),
        (ALL_HELD, 41, Space(limit=100, free=100), None),
        # Links free nothing.
        (LINKED, 41, Space(limit=100, free=100), ["old"]),
        # The setting was made smaller.
        (ALL, 0, Space(limit=30, free=100), ["old", "middle"]),
    ],
)
def test_the_least_recently_used_go(
    cached: list[Cached], need: int, space: Space, names: list[str] | None
) -> None:
    chosen = choose_evictions(cached, need, space)
    assert (None if chosen is None else [it.path.name for it in chosen]) == names


@pytest.mark.parametrize(
    ("need", "space", "fits"),
    [
        (100, Space(limit=100, free=100), True),
        (101, Space(limit=100, free=100), False),
        (90, Space(limit=100, free=30), True),
        (91, Space(limit=100, free=30), False),
    ],
)
def test_what_could_fit_if_nothing_were_in_use(need: int, space: Space, fits: bool) -> None:
    assert could_ever_fit(ALL_HELD, need, space) is fits
