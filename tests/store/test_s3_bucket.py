"""When an object was written, as far as S3 and the writer can tell."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.s3_bucket import time_of_writing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def noted(moment: datetime) -> dict[str, str]:
    return {"paddock-time": f"{moment.timestamp():.6f}"}


@pytest.mark.parametrize("offset", [-0.9, -0.25, 0, 0.25, 0.9])
def test_the_writers_time_counts_within_a_second_of_s3s(offset: float) -> None:
    moment = NOON + timedelta(seconds=offset)
    assert time_of_writing(NOON, noted(moment)) == moment


@pytest.mark.parametrize(
    ("offset", "expected"), [(-3600, -1), (-1.1, -1), (1.1, 0.999999), (3600, 0.999999)]
)
def test_a_wrong_clock_is_off_by_a_second_at_most(offset: float, expected: float) -> None:
    moment = NOON + timedelta(seconds=offset)
    assert time_of_writing(NOON, noted(moment)) == NOON + timedelta(seconds=expected)


@pytest.mark.parametrize("stamp", ["", "noon", "nan", "1e9", "-5.000000", "9" * 12 + ".000000"])
def test_without_a_note_it_is_the_earliest_time(stamp: str) -> None:
    assert time_of_writing(NOON, {"paddock-time": stamp}) == NOON - timedelta(seconds=1)
    assert time_of_writing(NOON, {}) == NOON - timedelta(seconds=1)


@given(
    st.lists(st.floats(0, 10), min_size=2, max_size=10),
    st.floats(-5, 5),
    st.booleans(),
)
def test_writes_of_one_process_keep_their_order(
    moments: list[float], difference: float, rounds_up: bool
) -> None:
    """Whatever the difference of the clocks, and however S3 rounds."""
    times = []
    for moment in sorted(moments):
        ours = NOON + timedelta(seconds=moment)
        theirs = ours + timedelta(seconds=difference)
        second = theirs.replace(microsecond=0) + timedelta(seconds=rounds_up)
        times.append(time_of_writing(second, noted(ours)))
    assert times == sorted(times)
