"""Reads the answers of gpt-oss: messages on channels, the harmony format.

    <|channel|>analysis<|message|>a thought<|end|>
    <|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{}<|call|>
    <|start|>assistant<|channel|>final<|message|>the answer<|return|>

The format is documented at https://cookbook.openai.com/articles/openai-harmony. vLLM has a
parser for it, which is not used: it reads tokens, and so passes over stop strings, and it
fetches its vocabulary from the internet.
"""

import re
from enum import Enum, auto

from workers.output.json_calls import Call, arguments_text
from workers.output.parsed import Parsed
from workers.output.tags import unfinished
from workers.output.thinking import Thought

_START = "<|start|>assistant"
_CHANNEL = "<|channel|>"
_MESSAGE = "<|message|>"
_END = "<|end|>"
_ENDS = (_END, "<|call|>", "<|return|>")
_BEGINS = ("<|start|>", _CHANNEL)  # a message begins although the one before did not end
_HEADER_STARTS = ("<|start|>", _CHANNEL, _MESSAGE, "<|constrain|>", "assistant", "to=")
_FINAL = f"{_CHANNEL}final{_MESSAGE}"
_MARKS = (*_ENDS, *_BEGINS)
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")


class _Part(Enum):
    HEADER = auto()
    THOUGHT = auto()
    CONTENT = auto()
    CALL = auto()


class HarmonyReader:
    """Reads an answer in the harmony format.

    A text without any header is content. A call that cannot be read is content as well; a
    header that was cut off is dropped.
    """

    special_tokens = True
    immediate = True
    thought_end = _END

    def __init__(self, prompt: str, *, tools: bool) -> None:
        self._tools = tools
        self._part = _Part.HEADER
        self._held = ""
        self._searched = 0  # characters held in which no mark begins that is looked for
        self._name = ""
        self._started = True  # the prompt ends with the start of a message
        _, start, begun = prompt.rpartition(_START)
        if start and not any(mark in begun for mark in _ENDS):
            self.read(begun)  # the beginning of an answer that the request brought

    @property
    def thought(self) -> Thought:
        """How far the answer is."""
        match self._part:
            case _Part.HEADER:
                return Thought.UNDECIDED
            case _Part.THOUGHT:
                return Thought.OPEN
        return Thought.OVER

    def read(self, text: str) -> Parsed:
        """Take a piece of the answer; see the seam."""
        self._held += text
        parsed = Parsed()
        while (piece := self._next()) is not None:
            parsed.add(piece)
        return parsed

    async def feed(self, text: str) -> Parsed:
        """Take a piece of the answer; see the seam."""
        return self.read(text)

    async def finish(self) -> Parsed:
        """Give what was held back, when nothing more comes."""
        if self._part is _Part.HEADER:
            return Parsed() if self._held.lstrip().startswith("<|") else self._body(self._held)
        return self._close(len(self._held))

    def begin_answer(self) -> str:
        """Take all that comes for content; a header has to stand before it."""
        self._part, self._held, self._searched = _Part.CONTENT, "", 0
        return _FINAL if self._started else _START + _FINAL

    def _next(self) -> Parsed | None:
        return self._header() if self._part is _Part.HEADER else self._message()

    def _header(self) -> Parsed | None:
        at = self._held.find(_MESSAGE, self._searched)
        if at < 0:
            return self._without_header()
        header = self._take(at)
        self._held = self._held.removeprefix(_MESSAGE)
        recipient = _RECIPIENT.search(header)
        _, _, channel = header.partition(_CHANNEL)
        if recipient and self._tools:
            self._part, self._name = _Part.CALL, recipient[1].removeprefix("functions.")
        elif channel.startswith("analysis") and not recipient:
            self._part = _Part.THOUGHT
        else:
            self._part = _Part.CONTENT
        return Parsed()

    def _without_header(self) -> Parsed | None:
        start = self._held.lstrip()
        if any(start.startswith(each) or each.startswith(start) for each in _HEADER_STARTS):
            self._searched = len(self._held) - unfinished(self._held, (_MESSAGE,))
            return None
        self._part, self._searched = _Part.CONTENT, 0
        return Parsed()

    def _message(self) -> Parsed | None:
        if found := _MARK.search(self._held, self._searched):
            mark = found[0]
            parsed = self._close(found.start())
            self._held = self._held.removeprefix(mark) if mark in _ENDS else self._held
            self._part, self._started = _Part.HEADER, mark == _CHANNEL
            return parsed
        self._searched = len(self._held) - unfinished(self._held, _MARKS)
        if self._part is _Part.CALL:
            return None
        return self._body(self._take(self._searched)) or None

    def _close(self, size: int) -> Parsed:
        """End a message after `size` characters more."""
        text = self._take(size)
        if self._part is not _Part.CALL:
            return self._body(text)
        arguments = arguments_text(text) if text.strip() else None
        return Parsed(calls=[Call(self._name, arguments)]) if arguments else Parsed(content=text)

    def _body(self, text: str) -> Parsed:
        return Parsed(thinking=text) if self._part is _Part.THOUGHT else Parsed(content=text)

    def _take(self, size: int) -> str:
        taken, self._held = self._held[:size], self._held[size:]
        self._searched = 0
        return taken
