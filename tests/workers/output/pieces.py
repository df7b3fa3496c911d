"""Texts cut into pieces in every way, as engines' steps may cut them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from workers.output.parsed import Parsed
from workers.output.reader import Reader


def cuts() -> st.SearchStrategy[list[int]]:
    """Give sizes of pieces, used from the start again when they are through."""
    return st.lists(st.integers(1, 9), min_size=1, max_size=12)


def ways(text: str) -> list[list[str]]:
    """Cut a text into pieces of one size, for several sizes, and into two at every place."""
    even = [pieces(text, [size]) for size in (1, 2, 3, 5, 8, len(text) + 1)]
    return even + [[text[:place], text[place:]] for place in range(1, len(text))]


def pieces(text: str, sizes: Sequence[int]) -> list[str]:
    """Cut a text into pieces of these sizes."""
    cut, number = [], 0
    while text:
        size = sizes[number % len(sizes)]
        cut.append(text[:size])
        text, number = text[size:], number + 1
    return cut


async def read(reader: Reader, parts: Sequence[str]) -> Parsed:
    """Read a whole answer."""
    parsed = Parsed()
    for part in parts:
        parsed.add(await reader.feed(part))
    parsed.add(await reader.finish())
    return parsed
