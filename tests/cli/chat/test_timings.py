"""Timings as Ollama writes them."""

import ollama
import pytest

from cli.chat.timings import timing_lines, write_duration


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (999, "999ns"),
        (1_500, "1.5µs"),
        (9_458_679, "9.458679ms"),
        (20_000_000, "20ms"),
        (2_258_979_365, "2.258979365s"),
        (10_000_000_000, "10s"),
        (62_500_000_000, "1m2.5s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_durations(nanoseconds: int, text: str) -> None:
    assert write_duration(nanoseconds) == text


def test_all_lines() -> None:
    answer = ollama.ChatResponse(
        message=ollama.Message(role="assistant"),
        total_duration=2_000_000_000,
        load_duration=1_000_000,
        prompt_eval_count=26,
        prompt_eval_duration=130_000_000,
        eval_count=10,
        eval_duration=500_000_000,
    )
    assert list(timing_lines(answer)) == [
        "total duration:       2s",
        "load duration:        1ms",
        "prompt eval count:    26 token(s)",
        "prompt eval duration: 130ms",
        "prompt eval rate:     200.00 tokens/s",
        "eval count:           10 token(s)",
        "eval duration:        500ms",
        "eval rate:            20.00 tokens/s",
    ]


def test_what_is_not_known_is_not_said() -> None:
    assert list(timing_lines(ollama.GenerateResponse(response="", total_duration=5))) == [
        "total duration:       5ns"
    ]
