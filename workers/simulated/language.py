"""The language of simulated models: the next token as a pure function of all tokens before it.

So an answer that is gone on with on another worker is the same. The tokens before go into a
CRC-32, which is as quickly made of a whole prompt as it is carried on by a token.
"""

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import pairwise

from workers.simulated.vocabulary import END, IDS, SPACED, TOKENS

_MASK = (1 << 64) - 1
_LENGTH = 0x9E3779B97F4A7C15  # sets an answer's length apart from its tokens

# Characters of several bytes, a byte a token, as byte-level tokenizers write rare ones.
_GLOBE = "🌍".encode()
_ACCENT = "é".encode()
_FORCED = {
    IDS[" caf"]: _ACCENT[0],
    IDS["caf"]: _ACCENT[0],
    **dict(pairwise(_ACCENT)),
    **dict(pairwise(_GLOBE)),
}
_MARKS: tuple[int, ...] = (*b",,,...\n", _GLOBE[0])
_MARK_EVERY = 10  # tokens, on the average
_BEFORE_PLAIN = b" \n"
"""After these a word has no space before it."""


def read(tokens: Sequence[int], state: int = 0) -> int:
    """Give the state after some more tokens."""
    return zlib.crc32(array("I", tokens), state)


def spread(value: int) -> int:
    """Make 64 even bits of any: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    value &= _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


class Prose:
    """An answer in words, ended by itself after a number of tokens that its prompt decides."""

    def __init__(self, prompt: Sequence[int], longest: int, salt: int) -> None:
        self._state = read(prompt)
        self._salt = salt
        self._previous = prompt[-1] if prompt else END
        self._left = _length(self.chance, longest)

    @property
    def chance(self) -> int:
        """What decides on the next token: 64 bits, even over all states."""
        return spread(self._state + self._salt)

    def next(self) -> int:
        """Give the next token."""
        if self._previous in _FORCED:
            return _FORCED[self._previous]
        if self._left <= 0:
            return END
        which, chance = divmod(self.chance, _MARK_EVERY)
        before = TOKENS[self._previous][-1:]
        if chance == 0 and before.isalnum():
            return _MARKS[which % len(_MARKS)]
        spaced = SPACED[which % len(SPACED)]
        return spaced + 1 if before in _BEFORE_PLAIN else spaced

    def take(self, token: int) -> None:
        """Go on after a token."""
        self._state = zlib.crc32(token.to_bytes(4, sys.byteorder), self._state)
        self._previous = token
        self._left -= 1


class Recital:
    """An answer that is known from the beginning."""

    def __init__(self, tokens: Sequence[int], salt: int) -> None:
        self._tokens = tokens
        self._salt = salt
        self._position = 0

    @property
    def chance(self) -> int:
        """64 bits for each place; see `Prose`."""
        return spread(self._salt + self._position)

    def next(self) -> int:
        """Give the next token."""
        return self._tokens[self._position] if self._position < len(self._tokens) else END

    def take(self, token: int) -> None:
        """Go on after a token."""
        self._position += 1


Source = Prose | Recital
"""What an answer's tokens come from."""


def _length(chance: int, longest: int) -> int:
    shortest = max(longest // 4, 1)
    return shortest + spread(chance + _LENGTH) % (longest - shortest + 1)
