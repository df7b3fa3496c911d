"""Finding tags in a text that arrives in pieces."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tags:
    """What stands before and after something."""

    opening: str
    closing: str


def unfinished(text: str, tags: Iterable[str]) -> int:
    """Give the length of the longest end of a text with which one of the tags may begin."""
    return max((_overlap(text, tag) for tag in tags), default=0)


def _overlap(text: str, tag: str) -> int:
    at = text.find(tag[0], max(len(text) - len(tag) + 1, 0))
    while at >= 0 and not tag.startswith(text[at:]):
        at = text.find(tag[0], at + 1)
    return len(text) - at if at >= 0 else 0
