from pathlib import Path

import pytest

from common.durations import SECOND
from common.settings import read_settings
from workers.parallelism import Parallelism
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


@pytest.mark.parametrize(
    ("ours", "ollama", "sequences"),
    [("", "", 256), ("", "0", 256), ("", "3", 3), ("7", "3", 7), ("7", "", 7)],
)
def test_sequences_at_once_by_ollama_s_name_or_ours(
    monkeypatch: pytest.MonkeyPatch, ours: str, ollama: str, sequences: int
) -> None:
    monkeypatch.setenv("PADDOCK_MAX_SEQUENCES", ours)
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", ollama)
    assert read().max_sequences == sequences
    assert read("--max-sequences=9").max_sequences == 9


def test_ollama_s_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MAX_LOADED_MODELS", "2")
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "-1")
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", "4096")
    settings = read()
    assert settings.max_loaded_models == 2
    assert settings.keep_alive_nanoseconds < 0
    assert settings.context_length == 4096


def test_a_number_of_sequences_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "many")
    with pytest.raises(SystemExit) as ended:
        read()
    assert "--max-sequences" in str(ended.value.code)


def test_the_cache_may_lie_at_home() -> None:
    assert read("--cache=~/models").cache == Path.home() / "models"


def test_the_cache_may_be_bounded() -> None:
    assert read().cache_size is None
    settings = read("--cache-size=500GiB", "--parallel-reads=8")
    assert settings.cache_size == 500 << 30
    assert settings.download_limits.parallel == 8


@pytest.mark.parametrize(
    ("flags", "parallelism"),
    [
        ((), Parallelism(1, 1, "uni")),
        (("--tensor-parallel-size=2",), Parallelism(2, 1, "mp")),
        (("--pipeline-parallel-size=2",), Parallelism(1, 2, "mp")),
        (("--tensor-parallel-size=2", "--distributed-executor=ray"), Parallelism(2, 1, "ray")),
        (("--distributed-executor=mp",), Parallelism(1, 1, "mp")),
    ],
)
def test_how_engines_are_divided(flags: tuple[str, ...], parallelism: Parallelism) -> None:
    assert read(*flags).parallelism == parallelism


@pytest.mark.parametrize("flag", ["--tensor-parallel-size=0", "--distributed-executor=uni"])
def test_a_division_that_is_none(flag: str) -> None:
    with pytest.raises(SystemExit) as ended:
        read(flag)
    assert flag.partition("=")[0] in str(ended.value.code)


@pytest.mark.parametrize(
    ("choice", "on_a_cpu", "on_an_accelerator"),
    [("auto", False, True), ("always", True, True), ("never", False, False)],
)
def test_what_compiles(choice: str, *, on_a_cpu: bool, on_an_accelerator: bool) -> None:
    settings = read(f"--compile={choice}")
    assert settings.compiles(accelerator=False) == on_a_cpu
    assert settings.compiles(accelerator=True) == on_an_accelerator
