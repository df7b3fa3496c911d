"""A prompt before tokenizing, and tokenizing it within bounds.

A tokenizer reads about a million characters a second, and all prompts of an engine wait for
it. So of a text that is far too long only a part is read: whether it is too long is found
out from its end, read in growing pieces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.engine import Tokenizer

# Where a text has fewer tokens than its characters suggest, more of it is read.
_CHARACTERS_PER_TOKEN = 8
_LEAST_PIECE = 256
# A piece's first or last tokens may differ from those that the whole text has there.
_SEAM = 8


@dataclass(frozen=True)
class Draft:
    """What a prompt is made from."""

    text: str
    images: Sequence[bytes] = ()
    is_marked: bool = False
    """The text has the tokens that mark a beginning, or needs none."""
    context: Sequence[int] = ()
    """Tokens of an earlier prompt and answer that the text goes on from."""

    def tokens_within(self, tokenizer: Tokenizer, limit: int) -> list[int] | None:
        """Tokenize all of it; None: it has more tokens than `limit`."""
        room = limit - len(self.context)
        if room < 0:
            return None
        tokens = self._last(tokenizer, room + 1)
        return [*self.context, *tokens] if len(tokens) <= room else None

    def ends(self, tokenizer: Tokenizer, beginning: int, end: int) -> list[int]:
        """Tokenize a beginning and an end of it, of so many tokens, that do not overlap."""
        first = [*self.context[:beginning]]
        first += self._first(tokenizer, beginning - len(first))
        last = self._last(tokenizer, end)
        missing = end - len(last)
        return [*first, *self.context[max(len(self.context) - missing, 0) :], *last]

    def begins_with_mark(self, tokenizer: Tokenizer) -> bool:
        """Tell whether its first token is the one that marks a beginning."""
        if not tokenizer.bos_token:
            return False
        mark = tokenizer.encode(tokenizer.bos_token, add_special_tokens=False)
        return self.ends(tokenizer, 1, 0) == mark

    def _first(self, tokenizer: Tokenizer, count: int) -> list[int]:
        def read(size: int) -> list[int]:
            return self._encode(tokenizer, self.text[:size], self.is_marked)

        return self._read(count, read)[:count]

    def _last(self, tokenizer: Tokenizer, count: int) -> list[int]:
        def read(size: int) -> list[int]:
            whole = size >= len(self.text)
            return self._encode(tokenizer, self.text[-size:], self.is_marked or not whole)

        tokens = self._read(count, read)
        return tokens[max(len(tokens) - count, 0) :]

    def _read(self, count: int, read: Callable[[int], list[int]]) -> list[int]:
        """Read a piece with at least `count` tokens that are those of the whole text."""
        size = max(count * _CHARACTERS_PER_TOKEN, _LEAST_PIECE)
        while size < len(self.text):
            tokens = read(size)
            if len(tokens) >= count + _SEAM:
                return tokens
            size *= 4
        return read(len(self.text))

    def _encode(self, tokenizer: Tokenizer, text: str, is_marked: bool) -> list[int]:
        bos = tokenizer.bos_token
        marked = is_marked or bool(bos and text.startswith(bos))
        return tokenizer.encode(text, add_special_tokens=not marked)
