"""Reads an answer piece by piece: the seam between its text and what is made of it."""

from typing import Protocol

from workers.output.marks import MarkFilter
from workers.output.parsed import Parsed
from workers.output.thinking import ThinkingSplitter, Thought
from workers.output.tool_calls import ToolCallSplitter


class Reader(Protocol):
    """Reads one answer."""

    special_tokens: bool
    """Whether it has to see special tokens in the text."""

    @property
    def immediate(self) -> bool:
        """Whether nothing has to be waited for, so that `read` does what `feed` does."""

    @property
    def thought(self) -> Thought:
        """How far the answer is; OVER as well where no thought is wanted."""

    @property
    def thought_end(self) -> str:
        """The text at which a thought ends."""

    def read(self, text: str) -> Parsed:
        """Take a piece of the answer at once; only where the reader is immediate."""

    async def feed(self, text: str) -> Parsed:
        """Take a piece of the answer; give what is certain by now."""

    async def finish(self) -> Parsed:
        """Give what was held back, when nothing more comes."""

    def begin_answer(self) -> str:
        """Take all that comes for content, from the last thought's end on.

        What was read since then is forgotten. Gives the text that has to stand before the
        answer, in the prompt, for a model that is held to a format.
        """


class TagReader:
    """Reads answers in which tags mark thoughts and tool calls."""

    def __init__(
        self,
        thinking: ThinkingSplitter | None,
        tools: ToolCallSplitter | None,
        *,
        wrapping: MarkFilter | None = None,
        special_tokens: bool = False,
    ) -> None:
        self.special_tokens = special_tokens
        self._wrapping = wrapping
        self._thinking = thinking
        self._tools = tools

    @property
    def thought(self) -> Thought:
        """How far the answer is; see the seam."""
        thinking = self._thinking
        return thinking.thought if thinking and thinking.expected else Thought.OVER

    @property
    def thought_end(self) -> str:
        """The closing tag."""
        return self._thinking.tags.closing if self._thinking else ""

    @property
    def immediate(self) -> bool:
        """Whether no tool calls are looked for, whose parsers take their time."""
        return self._tools is None

    def read(self, text: str) -> Parsed:
        """Tell thought and content of a piece apart; see the seam."""
        parsed = self._thinking.feed(text) if self._thinking else Parsed(content=text)
        if self._wrapping:
            parsed.content = self._wrapping.feed(parsed.content)
        return parsed

    async def feed(self, text: str) -> Parsed:
        """Take a piece of the answer; see the seam."""
        parsed = self.read(text)
        if not self._tools or not parsed.content:
            return parsed
        answer = await self._tools.feed(parsed.content)
        answer.thinking = parsed.thinking
        return answer

    async def finish(self) -> Parsed:
        """Give what was held back; see the seam."""
        parsed = self._thinking.finish() if self._thinking else Parsed()
        if self._wrapping:
            parsed.content = self._wrapping.feed(parsed.content) + self._wrapping.finish()
        if not self._tools:
            return parsed
        answer = await self._tools.feed(parsed.content)
        answer.add(await self._tools.finish())
        answer.thinking = parsed.thinking
        return answer

    def begin_answer(self) -> str:
        """Take all that comes for content; a thought that the prompt opened has to end first."""
        thinking, self._thinking, self._tools = self._thinking, None, None
        pending = thinking and thinking.opened and thinking.thought is not Thought.OVER
        return f"{thinking.tags.closing}\n\n" if thinking and pending else ""
