import pytest

from tests.workers.letters import BOS, Recorder
from workers.draft import Draft

LONG = "".join(chr(0x4E00 + number % 5000) for number in range(100_000))


def letters(tokens: list[int] | None) -> str | None:
    return None if tokens is None else "".join(map(chr, tokens))


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 3, "abc"), ("abc", 2, None), ("", 0, ""), ("abc", -1, None), (LONG, 99_999, None)],
)
def test_within_a_limit(text: str, limit: int, expected: str | None) -> None:
    assert letters(Draft(text).tokens_within(Recorder(), limit)) == expected
    assert Draft(LONG).tokens_within(Recorder(), 100_000) == [ord(letter) for letter in LONG]


def test_a_context_counts() -> None:
    draft = Draft("abc", context=[65, 66])
    assert letters(draft.tokens_within(Recorder(), 5)) == "ABabc"
    assert draft.tokens_within(Recorder(), 4) is None
    assert draft.tokens_within(Recorder(), 1) is None


@pytest.mark.parametrize(
    ("context", "beginning", "end", "expected"),
    [
        ("", 2, 3, "ab" + "xyz"),
        ("", 0, 3, "xyz"),
        ("", 3, 0, "abc"),
        ("AB", 3, 3, "ABa" + "xyz"),
        ("ABCDEF", 2, 28, "AB" + "EF" + "abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_ends(context: str, beginning: int, end: int, expected: str) -> None:
    draft = Draft("abcdefghijklmnopqrstuvwxyz", context=[ord(letter) for letter in context])
    assert letters(draft.ends(Recorder(), beginning, end)) == expected


def test_of_a_long_text_little_is_read() -> None:
    tokenizer = Recorder()
    assert letters(Draft(LONG).ends(tokenizer, 4, 100)) == LONG[:4] + LONG[-100:]
    assert Draft(LONG).tokens_within(tokenizer, 100) is None
    assert tokenizer.read < 3000


class Words(Recorder):
    """One token for up to a hundred letters."""

    def encode(self, text: str, **arguments: object) -> list[int]:
        self.read += len(text)
        return [len(text[at : at + 100]) for at in range(0, len(text), 100)]


def test_a_text_of_long_tokens_is_read_on() -> None:
    tokenizer = Words()
    tokens = Draft("x" * 100_000).tokens_within(tokenizer, 1000)
    assert tokens == [100] * 1000
    assert tokenizer.read < 300_000


def test_the_mark_of_the_beginning() -> None:
    tokenizer = Recorder(bos_token="<s>")
    assert Draft("a").tokens_within(tokenizer, 9) == [BOS, 97]
    assert Draft("<s>a").tokens_within(tokenizer, 9) == [BOS, 97]
    assert Draft("a", is_marked=True).tokens_within(tokenizer, 9) == [97]
    assert Draft("a").begins_with_mark(tokenizer)
    assert not Draft("a", is_marked=True).begins_with_mark(tokenizer)
    assert not Draft("a").begins_with_mark(Recorder())
    assert Draft(LONG).ends(tokenizer, 1, 1) == [BOS, ord(LONG[-1])]
