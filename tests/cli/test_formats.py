"""Sizes, numbers and times, as Ollama's command line writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.formats import human_bytes, human_number, human_time, parse_time

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
HOUR = 3600
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1500, "1.5 KB"),
        (6_534_211, "6.5 MB"),
        (10_900_000, "10 MB"),
        (4_700_000_000, "4.7 GB"),
        (999_999_999, "999 MB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)
def test_bytes(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (999, "999"),
        (26_500, "26K"),
        (596_049_920, "596.05M"),
        (7_000_000, "7M"),
        (8_030_261_248, "8.0B"),
    ],
)
def test_numbers(number: int, text: str) -> None:
    assert human_number(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second ago"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (60, "About a minute ago"),
        (59 * 60, "59 minutes ago"),
        (HOUR, "About an hour ago"),
        (1.5 * HOUR, "2 hours ago"),
        (47 * HOUR, "47 hours ago"),
        (2 * DAY, "2 days ago"),
        (13 * DAY, "13 days ago"),
        (15 * DAY, "2 weeks ago"),
        (70 * DAY, "2 months ago"),
        (800 * DAY, "2 years ago"),
        (-299, "4 minutes from now"),
        (-25 * 365 * DAY, "Forever"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert human_time(NOW - timedelta(seconds=seconds), NOW) == text


def test_times_of_the_api() -> None:
    assert parse_time("2026-11-22T12:00:00.123456789Z") - NOW < timedelta(seconds=1)
    assert human_time(parse_time("0001-01-01T00:00:00Z"), NOW) == "Never"
    assert human_time(parse_time("2318-01-01T00:00:00Z"), NOW) == "Forever"
    assert human_time(parse_time("2026-11-22T14:00:00+02:00"), NOW) == "Less than a second ago"
