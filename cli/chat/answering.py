"""An answer from its first part to its last, shown while it comes."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import cast

import ollama

from cli.chat.display import AnswerDisplay
from cli.chat.spinner import spinner
from cli.complaints import AnswerCutShort

Part = ollama.ChatResponse | ollama.GenerateResponse


def show_answer(parts: Iterator[Part], display: AnswerDisplay) -> Part:
    """Show what the official client gives until it is done; give the last part.

    However this ends, the request does as well, and the cursor is at the beginning of a line.

    Raises:
        AnswerCutShort: the server never said that it is done.
    """
    last: Part | None = None
    try:
        with spinner() as stop_spinner, closing(cast(Generator[Part, None, None], parts)):
            for part in parts:
                message = _message(part)
                if display.is_visible(message):
                    stop_spinner()
                display.show(message)
                last = part
        if last is None or not last.done:
            raise AnswerCutShort("the answer ended too early")
    except BaseException:
        display.break_off()
        raise
    return last


def _message(part: Part) -> ollama.Message:
    if isinstance(part, ollama.ChatResponse):
        return part.message
    return ollama.Message(role="assistant", content=part.response, thinking=part.thinking)
