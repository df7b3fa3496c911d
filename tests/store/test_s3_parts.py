"""How large parts are."""

import pytest

from store.s3_parts import (
    MAX_PART_SIZE,
    MAX_PARTS,
    MIB,
    MIN_PART_SIZE,
    growing_part_size,
    part_size_for,
    ranges,
)

GIB = 1024 * MIB
TIB = 1024 * GIB


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 16 * MIB),
        (156 * GIB, 16 * MIB),
        (160_000 * MIB, 16 * MIB),
        (160_000 * MIB + 1, 17 * MIB),
        (TIB, 105 * MIB),
        (5 * TIB, 525 * MIB),
    ],
)
def test_a_known_size_is_cut_into_few_enough_parts(size: int, expected: int) -> None:
    assert part_size_for(size, 16 * MIB) == expected
    assert -(-size // expected) <= MAX_PARTS


def test_parts_of_an_unknown_size_grow() -> None:
    sizes = [growing_part_size(number, MIN_PART_SIZE) for number in range(1, MAX_PARTS + 1)]
    assert sizes[:1001] == [MIN_PART_SIZE] * 1000 + [2 * MIN_PART_SIZE]
    assert sizes == sorted(sizes)
    assert sum(sizes[:1000]) < 5 * GIB
    assert sum(sizes) > 4.5 * TIB
    assert max(growing_part_size(number, GIB) for number in (1, MAX_PARTS)) == MAX_PART_SIZE


def test_ranges_are_whole() -> None:
    assert ranges(10, 4) == [(0, 3), (4, 7), (8, 9)]
    assert ranges(8, 4) == [(0, 3), (4, 7)]
    assert ranges(0, 4) == []
