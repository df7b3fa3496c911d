"""Turns dialogues and documents into tokens, with the ones to learn marked, and into batches."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer

from examples.demo_model import documents
from examples.demo_model.dialogues import SEAM, Chats, Dialogue
from examples.demo_model.tool_dialogues import ToolChats

ASSISTANT = re.compile(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", re.DOTALL)
THINKING_SHARE = 0.5


@dataclass(frozen=True)
class Sample:
    """A row of tokens; `learn` marks those that the model shall predict."""

    tokens: list[int]
    learn: list[bool]


@dataclass(frozen=True)
class Text:
    """A text before tokenization.

    `spans` are the character ranges to learn, each with the number of its first tokens to skip.
    """

    text: str
    spans: list[tuple[int, int, int]]


def dialogue_text(dialogue: Dialogue, thinking: bool) -> Text:
    """Return the dialogue as text.

    NOTE: in the history the first token of an answer is not learnt. There the template has
    dropped the think block, which the model must open or find whenever it is its turn.
    """
    prompt, target = dialogue.prompt(thinking), dialogue.target(thinking)
    said = [message for message in dialogue.messages if message["role"] == "assistant"]
    found = ASSISTANT.finditer(prompt)
    spans = [
        (*match.span(1), 1)
        for match, message in zip(found, said, strict=False)
        if message.get("learn", True)
    ]
    start = len(prompt)
    if dialogue.skip:  # what comes before the forced tokens is learnt, they are not
        head = len(target) - len(f"{dialogue.answer}<|im_end|>")
        spans.append((start, start + head, 0))
        start += head
    spans.append((start, len(prompt) + len(target), dialogue.skip))
    return Text(prompt + target, spans)


def document_text(head: str, rest: str) -> Text:
    """Return a document of which only the rest is learnt."""
    return Text(head + rest, [(len(head), len(head) + len(rest), 0)])


def encode(text: Text, tokenizer: Tokenizer) -> Sample:
    """Return the tokens of a text and which of them lie in the spans."""
    tokens: list[int] = []
    starts: list[int] = []
    position = 0
    for part in text.text.split(SEAM):
        encoding = tokenizer.encode(part)
        tokens += encoding.ids
        starts += [position + offset[0] for offset in encoding.offsets]
        position += len(part) + len(SEAM)
    learn = [False] * len(tokens)
    for first, last, skip in text.spans:
        inside = [i for i, start in enumerate(starts) if first <= start < last]
        for i in inside[skip:]:
            learn[i] = True
    return Sample(tokens, learn)


class Source:
    """An endless, seeded stream of training texts of all kinds, mixed by their weights."""

    def __init__(self, seed: int, mix: Mapping[str, int]) -> None:
        self._rng = random.Random(seed)
        chats = Chats(self._rng)
        tools = ToolChats(chats)
        self._draws: dict[str, Callable[[], Text]] = {
            "plain": lambda: self._dialogue(chats.plain()),
            "mario": lambda: self._dialogue(chats.mario()),
            "tools": lambda: self._dialogue(tools.draw()),
            "memory": lambda: self._dialogue(chats.memory()),
            "json": lambda: self._dialogue(chats.json()),
            "unknown": lambda: self._dialogue(chats.unknown()),
            "weather": lambda: self._dialogue(chats.weather()),
            "holes": lambda: document_text(*documents.draw_hole(self._rng)),
            "texts": lambda: document_text(*documents.draw_text(self._rng)),
            "puzzles": lambda: self._dialogue(chats.puzzle()),
            "sums": lambda: self._dialogue(tools.sum()),
            "stories": lambda: document_text(*documents.draw_story(self._rng)),
            "tight_json": lambda: self._dialogue(chats.tight_json()),
            "pairs": lambda: self._dialogue(tools.pair()),
        }
        self._weights = [mix[kind] for kind in self._draws]

    def _dialogue(self, dialogue: Dialogue) -> Text:
        return dialogue_text(dialogue, self._rng.random() < THINKING_SHARE)

    def __iter__(self) -> Iterator[Text]:
        kinds = list(self._draws)
        while True:
            kind = self._rng.choices(kinds, self._weights)[0]
            yield self._draws[kind]()


def batches(
    source: Source, tokenizer: Tokenizer, budget: int, length: int, pool: int = 1024
) -> Iterator[list[Sample]]:
    """Yield batches of rows of like length, at most `budget` tokens with their padding."""
    shuffle = random.Random(0)
    stream = iter(source)
    while True:
        rows = [encode(next(stream), tokenizer) for _ in range(pool)]
        rows = sorted((r for r in rows if len(r.tokens) <= length), key=lambda r: len(r.tokens))
        ready: list[list[Sample]] = [[]]
        for row in rows:
            if (len(ready[-1]) + 1) * len(row.tokens) > budget:
                ready.append([])
            ready[-1].append(row)
        shuffle.shuffle(ready)
        yield from ready
