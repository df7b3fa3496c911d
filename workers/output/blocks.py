"""Finds the blocks of an answer that hold tool calls, in a text that arrives in pieces."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from workers.output.tags import unfinished

SEPARATORS = string.whitespace + ",;"
"""What stands between calls and means nothing."""

_CLOSING = {"{": "}", "[": "]"}
_QUOTES = {"{": '"', "[": "\"'"}  # of JSON; of Python as well


@dataclass(frozen=True)
class BlockFormat:
    """How a block of tool calls begins and ends."""

    opening: str
    closing: str | None = None
    """None: it ends with the answer."""
    leading: bool = False
    """The opening is a bracket, which may begin other things as well: it counts only where
    nothing or another such block precedes it, and the block ends where it is closed again."""
    strict: bool = False
    """Without its closing it was cut off, even where it can be read."""


@dataclass(frozen=True)
class Block:
    """A block, from its opening to its closing, or to the end of the answer."""

    text: str
    format: BlockFormat
    closed: bool


class BlockSplitter:
    """Gives the text between blocks as it comes, and each block when it is complete.

    The pieces in which the text comes change nothing but the pieces of the text between. No
    opening may be the beginning of another.
    """

    def __init__(self, formats: Sequence[BlockFormat]) -> None:
        self._formats = formats
        self._inside: BlockFormat | None = None
        self._block: list[str] = []  # the pieces of a block so far, which hold no closing
        self._held = ""
        self._bracket = _Bracket("{")
        self._leading = True  # nothing so far but blocks that are bracketed

    def feed(self, text: str) -> list[str | Block]:
        """Take a piece of the answer; give what is certain by now."""
        self._held += text
        found: list[str | Block] = []
        while (piece := self._next()) is not None:
            found.append(piece)
        if not self._inside:
            held = unfinished(self._held, (each.opening for each in self._possible()))
            found.append(self._text(len(self._held) - held))
        return [piece for piece in found if piece]

    def finish(self) -> list[str | Block]:
        """Give what was held back, when nothing more comes."""
        if self._inside:
            open_end = self._inside.closing is None and not self._inside.leading
            text = "".join((*self._block, self._held))
            return [Block(text, self._inside, closed=open_end)]
        return [self._held] if self._held else []

    def _next(self) -> str | Block | None:
        """Take the text before the next block, or the block itself, if it is there."""
        return self._rest_of_block() if self._inside else self._text_before_block()

    def _text_before_block(self) -> str | None:
        starts = [
            (at, number, each)
            for number, each in enumerate(self._possible())
            if (at := self._held.find(each.opening)) >= 0
            and (not each.leading or not self._held[:at].strip(SEPARATORS))
        ]
        if not starts:
            return None
        at, _, self._inside = min(starts)
        text = self._text(at)
        opening = self._inside.opening
        self._block, self._held = [opening], self._held.removeprefix(opening)
        self._bracket = _Bracket(opening)
        return text

    def _rest_of_block(self) -> Block | None:
        assert self._inside
        end = self._end_of_block(self._inside)
        if end is None:
            closing = None if self._inside.leading else self._inside.closing
            held = unfinished(self._held, (closing,)) if closing else 0
            self._add_to_block(len(self._held) - held)
            return None
        self._add_to_block(end)
        block = Block("".join(self._block), self._inside, closed=True)
        self._leading = self._inside.leading
        self._block, self._inside = [], None
        return block

    def _add_to_block(self, size: int) -> None:
        self._block.append(self._held[:size])
        self._held = self._held[size:]

    def _end_of_block(self, inside: BlockFormat) -> int | None:
        if inside.leading:
            return self._bracket.end(self._held)
        if inside.closing is None:
            return None
        at = self._held.find(inside.closing)
        return at + len(inside.closing) if at >= 0 else None

    def _possible(self) -> list[BlockFormat]:
        return [each for each in self._formats if self._leading or not each.leading]

    def _text(self, size: int) -> str:
        text, self._held = self._held[:size], self._held[size:]
        self._leading = self._leading and not text.strip(SEPARATORS)
        return text


class _Bracket:
    """Finds where an opening bracket is closed, past those in strings and nested ones."""

    def __init__(self, opening: str) -> None:
        self._opening = opening
        self._closing = _CLOSING.get(opening)
        self._quotes = _QUOTES.get(opening, "")
        self._depth = 1
        self._quote = ""
        self._escaped = False

    def end(self, text: str) -> int | None:
        """Give the place after the closing bracket, in a piece of the text that follows."""
        for at, letter in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._quote:
                self._escaped = letter == "\\"
                self._quote = "" if letter == self._quote else self._quote
            elif letter in self._quotes:
                self._quote = letter
            elif letter in (self._opening, self._closing):
                self._depth += 1 if letter == self._opening else -1
                if not self._depth:
                    return at + 1
        return None
