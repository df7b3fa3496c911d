"""What a template may use up: templates come from strangers and run inside our processes.

A limit that is passed is an error of the template, never a process that hangs or grows.
"""

import time
from collections.abc import Iterable

# Characters. The longest template of a known model has 20 thousand.
MAXIMUM_SOURCE = 128 * 1024

# Blocks or parentheses in each other, templates that call each other, lists in lists.
# Python stops at a thousand nested calls, and a level costs up to five.
MAXIMUM_DEPTH = 64

# Characters of output, or of one value: twice what a window of a million tokens takes.
MAXIMUM_TEXT = 8 * 1024 * 1024

# Characters of all strings and items of all lists that functions make in one run. Slicing the
# rest of a chat off at each message, as many templates do, makes 50 million of 10,000 messages.
MAXIMUM_VALUES = 64 * 1024 * 1024

# A chat of a thousand messages takes some fifty milliseconds.
MAXIMUM_SECONDS = 3.0

# The width and precision of `printf`: Go's own limit.
MAXIMUM_WIDTH = 1_000_000

# Characters of template or data that an error quotes.
MAXIMUM_QUOTED = 400


class Budget:
    """What is left of the limits, for one run of a template or for several of one request."""

    def __init__(self, seconds: float = MAXIMUM_SECONDS) -> None:
        self._text = MAXIMUM_TEXT
        self._values = MAXIMUM_VALUES
        self._deadline = time.monotonic() + seconds

    def check_time(self) -> None:
        """Refuse to go on where the time is over.

        Raises:
            EvaluationFailed: it is.
        """
        if time.monotonic() > self._deadline:
            raise EvaluationFailed("the template takes too long")

    def take_text(self, text: str) -> None:
        """Count a text that is printed.

        Raises:
            EvaluationFailed: the output becomes too long.
        """
        self._text -= len(text)
        if self._text < 0:
            raise EvaluationFailed("the output becomes too long")

    def take_value(self, value: object) -> None:
        """Count a value that a function made.

        Raises:
            EvaluationFailed: the values become too large.
        """
        if isinstance(value, str | list | tuple):
            self._values -= len(value)
        if self._values < 0:
            raise EvaluationFailed("the template needs too much memory")


class EvaluationFailed(Exception):
    """Something that a function or an operation refuses; where, the evaluator knows."""


def join_bounded(parts: Iterable[str], separator: str = "") -> str:
    """Join texts.

    Raises:
        EvaluationFailed: the result would be longer than `MAXIMUM_TEXT`.
    """
    kept = []
    length = 0
    for part in parts:
        length += len(part) + len(separator)
        if length > MAXIMUM_TEXT:
            raise EvaluationFailed("the text becomes too long")
        kept.append(part)
    return separator.join(kept)


def check_depth(depth: int) -> None:
    """Refuse a value whose lists and maps lie too deep in each other.

    Raises:
        EvaluationFailed: they do.
    """
    if depth > MAXIMUM_DEPTH:
        raise EvaluationFailed("a value is nested too deeply")


def clip(text: str) -> str:
    """Shorten a text that an error quotes."""
    return text if len(text) <= MAXIMUM_QUOTED else f"{text[:MAXIMUM_QUOTED]}..."
