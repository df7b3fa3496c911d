import pytest

from common.settings import Settings, read_settings


class Example(Settings):
    """An example's settings."""

    keep_alive: str = "5m"
    """How long a model stays loaded."""

    verbose: bool = False
    """Say more."""

    size: int = 1
    """How many."""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("PADDOCK", "OLLAMA"):
        for name in ("KEEP_ALIVE", "VERBOSE", "SIZE"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)


def read(*arguments: str) -> Example:
    return read_settings(Example, "example", list(arguments))


def test_flag_over_our_variable_over_ollamas_over_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read().keep_alive == "5m"
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "1h")
    assert read().keep_alive == "1h"
    monkeypatch.setenv("PADDOCK_KEEP_ALIVE", "2h")
    assert read().keep_alive == "2h"
    assert read("--keep-alive", "3h").keep_alive == "3h"
    assert read("--keep-alive=4h").keep_alive == "4h"


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDOCK_KEEP_ALIVE", "")
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "1h")
    assert read().keep_alive == "1h"


def test_flags_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("--verbose").verbose
    monkeypatch.setenv("PADDOCK_VERBOSE", "1")
    assert read().verbose
    assert not read("--no-verbose").verbose


def test_help_describes_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "--keep-alive" in text
    assert "How long a model stays loaded." in text


@pytest.mark.parametrize("arguments", [["--nonsense", "1"], ["--size", "many"]])
def test_bad_flags_end_the_program(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*arguments)
    assert caught.value.code


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_SIZE", "many")
    with pytest.raises(SystemExit, match=r"example: --size: .*integer"):
        read()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read(), "size", 2)  # noqa: B010
