"""Images in requests: files in base64, as Go's decoder takes it."""

import binascii
import re
from contextlib import suppress
from typing import Annotated

from pydantic import BeforeValidator

from common.errors import InvalidRequest

_LINE_BREAKS = str.maketrans("", "", "\r\n")
_NOT_A_DIGIT = re.compile(r"[^A-Za-z0-9+/\r\n]")
_NOT_A_LINE_BREAK = re.compile(r"[^\r\n]|\Z")
_QUANTUM = 4  # digits that make three bytes


def decode_image(value: object) -> bytes:
    """Decode standard base64 with its padding; line breaks are skipped.

    Raises:
        InvalidRequest: it is something else; the message is Ollama's.
    """
    if not isinstance(value, str):
        raise InvalidRequest("an image must be a string in base64")
    text = value.translate(_LINE_BREAKS)
    # Padding beyond what is needed: the strict mode of some versions of Python lets it pass.
    if len(text) % _QUANTUM == 0 and not text.endswith("==="):
        with suppress(ValueError):
            return binascii.a2b_base64(text, strict_mode=True)
    raise InvalidRequest(f"illegal base64 data at input byte {_first_illegal(value)}")


def _first_illegal(text: str) -> int:
    """Find where Go's decoder gives up on a text that is no base64."""
    found = _NOT_A_DIGIT.search(text)
    digits = len(text[: found.start() if found else None].translate(_LINE_BREAKS))
    position = digits % _QUANTUM
    if not found:
        return len(text) - position
    at = found.start()
    if text[at] != "=" or position < 2:
        return at
    at = _skip_line_breaks(text, at + 1)
    if position == 3 or at == len(text):
        return at
    return _skip_line_breaks(text, at + 1) if text[at] == "=" else at - 1


def _skip_line_breaks(text: str, start: int) -> int:
    found = _NOT_A_LINE_BREAK.search(text, start)
    return found.start() if found else len(text)


Image = Annotated[bytes, BeforeValidator(decode_image)]
"""See `decode_image`."""
