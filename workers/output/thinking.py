"""Takes a model's thoughts apart from its answer, in a text that arrives in pieces."""

from enum import Enum, auto

from workers.output.parsed import Parsed
from workers.output.tags import Tags, unfinished


class Thought(Enum):
    """How far an answer is."""

    UNDECIDED = auto()
    """Nothing tells yet whether there is a thought."""
    OPEN = auto()
    OVER = auto()
    """The answer itself has begun, after a thought or without one."""


class ThinkingSplitter:
    """Splits a text at the tags around a thought, as Ollama does.

    A thought stands at the beginning or nowhere: its opening tag is the first thing that is
    not white space, or ended the prompt (`opened`). White space after either tag is dropped;
    a text without a thought keeps all of its own. One of `interrupts` within a thought ends
    it like the closing tag, but is part of the answer. At any time as much is given as cannot
    be a tag, so that the pieces in which the text comes change nothing.
    """

    expected = True
    """Whether a thought is wanted."""

    def __init__(self, tags: Tags, *, opened: bool, interrupts: tuple[str, ...] = ()) -> None:
        self.tags = tags
        self.opened = opened
        self.thought = Thought.UNDECIDED
        self._interrupts = interrupts
        self._held = ""
        self._at_start = False  # of a thought or of the answer after it: no white space yet

    def feed(self, text: str) -> Parsed:
        """Split what came; only the thought and the content of the result are ever set."""
        if self.thought is Thought.OVER:
            return Parsed(content=self._trimmed(text))
        self._held += text
        if self.thought is Thought.UNDECIDED:
            self._decide()
        match self.thought:
            case Thought.OPEN:
                return self._think()
            case Thought.OVER:
                return Parsed(content=self._take(len(self._held)))
        return Parsed()

    def finish(self) -> Parsed:
        """Give what was held back, when nothing more comes."""
        rest = self._take(len(self._held))
        if self.thought is Thought.OPEN or (self.opened and self.thought is Thought.UNDECIDED):
            return Parsed(thinking=rest)
        return Parsed(content=rest)

    def _decide(self) -> None:
        start = self._held.lstrip()
        if start.startswith(self.tags.opening):
            # Some models write the tag although the prompt ended with it.
            self._held = start[len(self.tags.opening) :]
            self.thought, self._at_start = Thought.OPEN, True
        elif not self.tags.opening.startswith(start):
            self.thought = Thought.OPEN if self.opened else Thought.OVER
            self._at_start = self.opened

    def _think(self) -> Parsed:
        if self._at_start:
            self._held = self._held.lstrip()
        ends = [(self._held.find(tag), tag) for tag in (self.tags.closing, *self._interrupts)]
        found = min(((at, tag) for at, tag in ends if at >= 0), default=None)
        if found:
            at, tag = found
            thinking = self._take(at)
            answer = self._take(len(self._held))
            self.thought, self._at_start = Thought.OVER, True
            after = answer[len(tag) :] if tag == self.tags.closing else answer
            return Parsed(thinking, self._trimmed(after))
        held = unfinished(self._held, (self.tags.closing, *self._interrupts))
        self._at_start = self._at_start and not self._held
        return Parsed(thinking=self._take(len(self._held) - held))

    def _trimmed(self, text: str) -> str:
        if self._at_start:
            text = text.lstrip()
            self._at_start = not text
        return text

    def _take(self, size: int) -> str:
        taken, self._held = self._held[:size], self._held[size:]
        return taken


class EmptyThoughtFilter(ThinkingSplitter):
    """For a model that should not think: drops a thought that is empty, and nothing else.

    What it thinks all the same is part of the content, with its tags, as in Ollama.
    """

    expected = False

    def _think(self) -> Parsed:
        inside = self._held.lstrip()
        if inside.startswith(self.tags.closing):
            self._held = ""
            self.thought, self._at_start = Thought.OVER, True
            return Parsed(content=self._trimmed(inside[len(self.tags.closing) :]))
        if self.tags.closing.startswith(inside):
            return Parsed()
        self.thought, self._at_start = Thought.OVER, False
        return Parsed(content=self.tags.opening + self._take(len(self._held)))

    def finish(self) -> Parsed:
        """Give what was held back, when nothing more comes."""
        opening = self.tags.opening if self.thought is Thought.OPEN else ""
        return Parsed(content=opening + self._take(len(self._held)))
