"""Texts without a chat: openings to complete, and code with a hole to fill."""

import functools
import random
import re

from examples.demo_model.questions import CORPUS, read_markdown, table_sentences

END = "<|endoftext|>"


@functools.cache
def stories() -> list[str]:
    """Return the openings of stories and the like."""
    return [question.answer for question in read_markdown("texts")]


@functools.cache
def texts() -> list[str]:
    """Return the texts whose openings the model completes."""
    return stories() + table_sentences()


@functools.cache
def snippets() -> list[str]:
    """Return the functions that serve for filling in the middle."""
    code = CORPUS.joinpath("code.md").read_text(encoding="utf-8")
    return [part.strip("\n") for part in re.findall(r"```python\n(.*?)```", code, flags=re.S)]


def fill_in(prefix: str, suffix: str) -> str:
    """Return the prompt for the text between the prefix and the suffix."""
    return f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"


def holes(snippet: str) -> list[tuple[str, str]]:
    """Return prompt and completion for every way to cut whole lines out of a function.

    Each hole comes with its line breaks inside, and with them left to the prefix and suffix.
    """
    lines = snippet.split("\n")
    found = []
    for start in range(1, len(lines)):
        for stop in range(start + 1, len(lines) + 1):
            prefix, suffix = "\n".join(lines[:start]), "\n".join(lines[stop:])
            middle = "\n".join(lines[start:stop])
            end = "\n" if suffix else ""
            found.append((fill_in(prefix, suffix), f"\n{middle}{end}{END}"))
            found.append((fill_in(prefix + "\n", end + suffix), middle + END))
    return found


def draw_hole(rng: random.Random) -> tuple[str, str]:
    """Return a random hole of a random function."""
    return rng.choice(holes(rng.choice(snippets())))


def draw_text(rng: random.Random) -> tuple[str, str]:
    """Return a random text, split after its second word."""
    return _split(rng.choice(texts() + snippets()))


def draw_story(rng: random.Random) -> tuple[str, str]:
    """Return a random text that is neither code nor a fact, split after its second word."""
    return _split(rng.choice(stories()))


def _split(text: str) -> tuple[str, str]:
    head = re.match(r"\S+\s+\S+", text)
    cut = head.end() if head else 0
    return text[:cut], text[cut:] + END
