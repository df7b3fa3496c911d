import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.paddock.v1.generation_pb2 import Message, ToolCall
from workers.truncation import History, cut, first_that_fits


def history(letters: str) -> History:
    """s: system, u: user, a: assistant, c: assistant with a call, t: tool."""
    roles = {"s": "system", "u": "user", "a": "assistant", "c": "assistant", "t": "tool"}
    return History(
        [
            Message(
                role=roles[letter],
                content=str(number),
                tool_calls=[ToolCall(name="f")] if letter == "c" else [],
            )
            for number, letter in enumerate(letters)
        ]
    )


@pytest.mark.parametrize(
    ("letters", "start", "kept"),
    [
        ("suau", 0, "0123"),
        ("suau", 1, "0123"),
        ("suau", 3, "03"),
        ("usau", 2, "123"),
        ("uasu", 3, "23"),
    ],
)
def test_system_messages_stay(letters: str, start: int, kept: str) -> None:
    messages = history(letters).since(start)
    assert "".join(message.content for message in messages) == kept


@pytest.mark.parametrize(
    ("letters", "starts"),
    [
        ("u", [0]),
        ("uau", [0, 1, 2]),
        ("uctau", [0, 1, 3, 4]),
        ("uctt", [0, 1]),
        ("uctct", [0, 1, 3]),
        ("utt", [0, 1, 2]),
        ("uatu", [0, 1, 2, 3]),
        ("", []),
    ],
)
def test_results_stay_with_their_call(letters: str, starts: list[int]) -> None:
    assert history(letters).starts(tokens=100, longest_token=10) == starts


def test_what_cannot_fit_is_not_tried() -> None:
    assert history("u" * 1000).starts(tokens=3, longest_token=10) == [997, 998, 999]
    long = History([Message(role="user", content="x" * 50)] * 4)
    assert long.starts(tokens=7, longest_token=10) == [2, 3]
    assert history("uctttt").starts(tokens=2, longest_token=10) == [1]
    assert history("us").starts(tokens=0, longest_token=10) == [1]


def test_turns_of_users() -> None:
    assert history("suauct").turns([0, 1, 2, 3, 4]) == [1, 3, 4]
    assert history("").turns([]) == []


@given(count=st.integers(0, 300), fitting=st.integers(0, 300))
def test_the_longest_that_fits_is_found(count: int, fitting: int) -> None:
    first = count - min(fitting, count)
    tried: list[int] = []

    def make(candidate: int) -> str | None:
        tried.append(candidate)
        return f"made {candidate}" if candidate >= first else None

    expected = f"made {first}" if first < count else None
    assert first_that_fits(range(count), make) == expected
    assert len(tried) == len(set(tried))
    # All but the first are not much longer than what fits.
    assert all(count - candidate <= max(2 * min(fitting, count), 1) for candidate in tried[1:])


@pytest.mark.parametrize(
    ("window", "num_keep", "beginning", "end"),
    [
        (1024, 4, 4, 510),
        (1024, 0, 0, 512),
        (1024, 5, 5, 510),
        (1024, -1, 1023, 0),
        (1024, 5000, 1023, 0),
        (1024, 1000, 1000, 12),
        (4, 4, 3, 0),
        (4, 0, 0, 2),
    ],
)
def test_a_cut(window: int, num_keep: int, beginning: int, end: int) -> None:
    assert cut(window, num_keep) == (beginning, end)
    assert beginning + end < window
