"""Lines that carry only text, as most lines do: from pieces that are encoded once an answer."""

from collections.abc import Callable
from typing import Any

from gateway.ollama.encoding import now
from gateway.replies import json_line, json_text

_TIME = "time"
_TEXT = "text"


class TextLines:
    """Makes the lines of one answer.

    Args:
        chunk: gives the object of such a line for a time and a text. In its order they are the
            last strings but for names of fields.
    """

    def __init__(self, chunk: Callable[[str, str], dict[str, Any]]) -> None:
        whole = json_line(chunk(_TIME, _TEXT))
        rest, _, self._tail = whole.rpartition(json_text(_TEXT))
        self._head, _, self._middle = rest.rpartition(json_text(_TIME))

    def line(self, text: str) -> bytes:
        """Encode a line, as of now."""
        return b'%b"%b"%b%b%b' % (
            self._head,
            now().encode(),
            self._middle,
            json_text(text),
            self._tail,
        )
