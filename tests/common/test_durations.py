import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.durations import FOREVER, SECOND, parse_duration, parse_keep_alive
from common.errors import InvalidRequest

LONGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("5s", 5 * SECOND),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("1.s", SECOND),
        ("1h30m", 5400 * SECOND),
        ("-1m", -60 * SECOND),
        ("+2us", 2_000),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("3ms1ns", 3_000_001),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
        ("\u0661s", 'time: invalid duration "\u0661s"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_what_is_no_duration_is_named_in_gos_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_duration(text)
    assert caught.value.message == complaint


@given(st.integers(0, LONGEST))
def test_every_duration_in_nanoseconds(nanoseconds: int) -> None:
    assert parse_duration(f"{nanoseconds}ns") == nanoseconds
    assert parse_duration(f"-{nanoseconds}ns") == -nanoseconds


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999_999_999))
def test_terms_add_up(hours: int, minutes: int, nanoseconds: int) -> None:
    text = f"{hours}h{minutes}m{nanoseconds / SECOND:.9f}s"
    assert parse_duration(text) == (hours * 60 + minutes) * 60 * SECOND + nanoseconds


@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert -LONGEST <= parse_duration(text) <= LONGEST
    except InvalidRequest as error:
        assert error.message.startswith("time: ")  # noqa: PT017


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        (None, None),
        (0, 0),
        (5, 5 * SECOND),
        (0.5, SECOND // 2),
        (-1, FOREVER),
        (-0.001, FOREVER),
        (1e300, LONGEST),
        (-1e300, FOREVER),
        ("5m", 300 * SECOND),
        ("-1m", FOREVER),
        ("0", 0),
    ],
)
def test_keep_alive(value: object, nanoseconds: int | None) -> None:
    assert parse_keep_alive(value) == nanoseconds


@pytest.mark.parametrize("value", [True, [], {}, "5", "soon"])
def test_what_is_no_keep_alive(value: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_keep_alive(value)


@given(st.integers() | st.floats(allow_nan=False))
def test_any_number_is_a_keep_alive_that_fits_the_wire(value: float) -> None:
    parsed = parse_keep_alive(value)
    assert parsed is not None
    assert FOREVER <= parsed <= LONGEST
