"""Go's string and character literals: quoting (`strconv.Quote`) and reading them."""

import re
from collections.abc import Callable

from common.gotemplate.values import decode, joined

_UNCERTAIN = re.compile(r"""[^ -~]|["'\\\\]""")
_PIECE = 65_536  # characters: a piece in which each is escaped takes a hundred times its size
_SHORT = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_FIRST_BYTE, _LAST_BYTE = "\udc80", "\udcff"
_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))"""
)
_ESCAPED = {short[1]: character for character, short in _SHORT.items()}


def quote(text: str, mark: str = '"', ascii_only: bool = False) -> str:
    """Give the literal of a string, or with `mark` `'` of a character."""
    text = joined(text)
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    escaped = (
        _UNCERTAIN.sub(lambda found: _escape(found[0], mark, ascii_only), piece) for piece in pieces
    )
    return f"{mark}{''.join(escaped)}{mark}"


def is_printable(character: str) -> bool:
    """Tell whether Go prints a character as it is; of the spaces only U+0020."""
    return character.isprintable()


def _escape(character: str, mark: str, ascii_only: bool) -> str:
    if character == mark:
        return "\\" + mark
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if _FIRST_BYTE <= character <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    if (code < 0x7F or not ascii_only) and is_printable(character):
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(literal: str) -> str:
    """Read a string literal, in double quotes or back quotes.

    Raises:
        ValueError: an escape sequence is wrong.
    """
    body = literal[1:-1]
    if literal[0] == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    content = bytearray()
    position = 0
    while position < len(body):
        piece, position = _next_character(body, position, '"')
        content += piece
    return decode(bytes(content))


def unquote_character(literal: str) -> int:
    """Read a character literal and give its code point.

    Raises:
        ValueError: it is none, or holds more than one character.
    """
    body = literal[1:-1]
    if not body:
        raise ValueError("invalid syntax")
    match = _ESCAPE.match(body)
    if match and match[2]:
        code, end = int(match[2], 16), match.end()
    elif match and match[5]:
        code, end = _octal(match[5]), match.end()
    else:
        piece, end = _next_character(body, 0, "'")
        code = ord(decode(piece))
    if end != len(body):
        raise ValueError(f"malformed character constant: {literal}")
    return code


def _next_character(body: str, position: int, mark: str) -> tuple[bytes, int]:
    if body[position] != "\\":
        return body[position].encode("utf-8", "surrogateescape"), position + 1
    match = _ESCAPE.match(body, position)
    if not match:
        raise ValueError("invalid syntax")
    short, *numbers = match.groups()
    if short:
        if short in "'\"" and short != mark:
            raise ValueError("invalid syntax")
        return _ESCAPED.get(short, short).encode(), match.end()
    piece = next(read(text) for read, text in zip(_READERS, numbers, strict=True) if text)
    return piece, match.end()


def _octal(digits: str) -> int:
    code = int(digits, 8)
    if code > 255:
        raise ValueError("invalid syntax")
    return code


def _code_point(digits: str) -> bytes:
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("invalid syntax")
    return chr(code).encode()


_READERS: tuple[Callable[[str], bytes], ...] = (
    bytes.fromhex,
    _code_point,
    _code_point,
    lambda digits: bytes([_octal(digits)]),
)
