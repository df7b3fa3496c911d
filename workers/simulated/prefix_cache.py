"""Which prefixes an engine has computed before: the hashes of their blocks, the last used stay."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

BLOCK = 16
"""Tokens that are kept or forgotten together."""


class PrefixCache:
    """Remembers the blocks of what was computed, each together with all that is before it."""

    def __init__(self, tokens: int) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()
        self._most = tokens // BLOCK

    def find(self, tokens: Sequence[int]) -> int:
        """Tell how many tokens at the beginning were computed before."""
        found = 0
        for block in _blocks(tokens):
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            found += BLOCK
        return found

    def add(self, tokens: Sequence[int]) -> None:
        """Remember what was computed; what was not used for longest is forgotten for it."""
        # The end first: a block is worth nothing without those before it.
        for block in reversed(list(_blocks(tokens))):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)


def _blocks(tokens: Sequence[int]) -> Iterator[int]:
    before = 0
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        before = hash((before, *tokens[end - BLOCK : end]))
        yield before
