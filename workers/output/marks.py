"""Drops marks that mean nothing from a text that arrives in pieces."""

from collections.abc import Sequence

from workers.output.tags import unfinished


class MarkFilter:
    """Gives a text without certain marks, as soon as it is certain that none is in it."""

    def __init__(self, marks: Sequence[str]) -> None:
        self._marks = marks
        self._held = ""

    def feed(self, text: str) -> str:
        """Take a piece of the text."""
        self._held += text
        for mark in self._marks:
            self._held = self._held.replace(mark, "")
        certain = len(self._held) - unfinished(self._held, self._marks)
        text, self._held = self._held[:certain], self._held[certain:]
        return text

    def finish(self) -> str:
        """Give what was held back, when nothing more comes."""
        rest, self._held = self._held, ""
        return rest
