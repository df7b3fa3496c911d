"""Takes tool calls apart from the rest of an answer, in a text that arrives in pieces."""

from collections.abc import Awaitable, Callable

from workers.output.blocks import SEPARATORS, Block, BlockFormat, BlockSplitter
from workers.output.json_calls import Reading
from workers.output.parsed import Parsed

ReadBlock = Callable[[Block], Awaitable[Reading]]


class ToolCallSplitter:
    """Gives content as it comes and each block's calls when the block is complete.

    White space around calls is dropped, and what separates them. A block that holds no call,
    or one that cannot be read, is content as it stands: what a model wrote is never lost, and
    a client sees why nothing was called.
    """

    def __init__(self, formats: tuple[BlockFormat, ...], read: ReadBlock) -> None:
        self._blocks = BlockSplitter(formats)
        self._read = read
        self._spaces = ""  # at the end of the content, to be dropped if a call follows
        self._after_call = False

    async def feed(self, text: str) -> Parsed:
        """Take a piece of the answer."""
        return await self._parse(self._blocks.feed(text))

    async def finish(self) -> Parsed:
        """Give what was held back, when nothing more comes."""
        parsed = await self._parse(self._blocks.finish())
        if not self._after_call:
            parsed.content += self._spaces
        self._spaces = ""
        return parsed

    async def _parse(self, pieces: list[str | Block]) -> Parsed:
        parsed = Parsed()
        for piece in pieces:
            if isinstance(piece, Block):
                reading = await self._read(piece)
                if reading.calls:
                    parsed.calls += reading.calls
                    self._spaces, self._after_call = "", True
                piece = reading.rest
            parsed.content += self._content(piece)
        return parsed

    def _content(self, text: str) -> str:
        if self._after_call:
            text = text.lstrip(SEPARATORS)
            self._after_call = not text
        text = self._spaces + text
        content = text.rstrip()
        self._spaces = text[len(content) :]
        return content
