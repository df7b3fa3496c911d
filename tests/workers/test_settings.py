from pathlib import Path

import pytest

from common.durations import SECOND
from common.settings import read_settings
from workers.settings import WorkerSettings


def read(*arguments: str) -> WorkerSettings:
    return read_settings(WorkerSettings, "worker", list(arguments))


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1h", 3600 * SECOND), ("30", 30 * SECOND), ("0", 0), ("-1", -1), ("-1m", -1)],
)
def test_keep_alive(text: str, nanoseconds: int) -> None:
    assert read(f"--keep-alive={text}").keep_alive_nanoseconds == nanoseconds


@pytest.mark.parametrize("flag", ["keep-alive", "drain-timeout"])
def test_a_bad_duration_is_one_line(flag: str) -> None:
    with pytest.raises(SystemExit) as ended:
        read(f"--{flag}=x")
    message = str(ended.value.code)
    assert f"--{flag}" in message
    assert 'invalid duration "x"' in message
    assert "\n" not in message


def test_the_cache_may_lie_at_home() -> None:
    assert read("--cache=~/models").cache == Path.home() / "models"


def test_the_cache_may_be_bounded() -> None:
    assert read().cache_size is None
    settings = read("--cache-size=500GiB", "--parallel-reads=8")
    assert settings.cache_size == 500 << 30
    assert settings.download_limits.parallel == 8
