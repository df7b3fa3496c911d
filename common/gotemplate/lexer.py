"""From a template's text to tokens, by the rules of Go's `text/template`."""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from common.gotemplate.quoting import is_printable, quote
from common.gotemplate.values import byte_length

LEFT, RIGHT = "{{", "}}"
SPACES = " \t\r\n"
KEYWORDS = frozenset(
    {
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "nil",
        "range",
        "template",
        "with",
    }
)

_SPACE_RUN = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?"
    r"|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_RAW_STRING = re.compile(r"`[^`]*`")
_CHARACTER = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_AFTER_WORD = frozenset(" \t\r\n.,|:)(")


class Kind(enum.Enum):
    """What a token is."""

    ERROR = enum.auto()  # its text says why
    BOOL = enum.auto()
    CHARACTER = enum.auto()  # any other printable character, as a comma
    CHARACTER_CONSTANT = enum.auto()
    COMPLEX = enum.auto()
    ASSIGN = enum.auto()
    DECLARE = enum.auto()
    EOF = enum.auto()
    FIELD = enum.auto()
    IDENTIFIER = enum.auto()
    LEFT_DELIMITER = enum.auto()
    LEFT_PARENTHESIS = enum.auto()
    NUMBER = enum.auto()
    PIPE = enum.auto()
    RAW_STRING = enum.auto()
    RIGHT_DELIMITER = enum.auto()
    RIGHT_PARENTHESIS = enum.auto()
    SPACE = enum.auto()
    STRING = enum.auto()
    TEXT = enum.auto()
    VARIABLE = enum.auto()
    DOT = enum.auto()
    KEYWORD = enum.auto()


_SINGLE = {
    "=": Kind.ASSIGN,
    "|": Kind.PIPE,
    "(": Kind.LEFT_PARENTHESIS,
    ")": Kind.RIGHT_PARENTHESIS,
}
_QUOTED = {
    '"': (_STRING, Kind.STRING, "unterminated quoted string"),
    "`": (_RAW_STRING, Kind.RAW_STRING, "unterminated raw quoted string"),
    "'": (_CHARACTER, Kind.CHARACTER_CONSTANT, "unterminated character constant"),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template: its position in characters, and the line it starts on."""

    kind: Kind
    text: str
    position: int
    line: int

    def is_keyword(self, *words: str) -> bool:
        """Tell whether it is one of these keywords."""
        return self.kind is Kind.KEYWORD and self.text in words

    def __str__(self) -> str:
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind in (Kind.KEYWORD, Kind.DOT):
            return f"<{self.text}>"
        if byte_length(self.text) > 10:
            return f"{quote(self.text[:10])}..."
        return quote(self.text)


class Lexer:
    """Gives the tokens of a template one after the other; after an error token none follow."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._line = 1
        self._counted = 0  # position up to which lines are counted
        self._parentheses = 0

    def __iter__(self) -> Iterator[Token]:
        while (found := self._source.find(LEFT, self._position)) >= 0:
            if text := self._text_before(found):
                yield text
            trims = self._trims_left(found)
            self._position = found + 2
            after_marker = self._position + 2 * trims
            if self._source.startswith("/*", after_marker):
                if error := self._skip_comment(after_marker):
                    yield error
                    return
                continue
            yield self._token(Kind.LEFT_DELIMITER, found, found + 2)
            self._position = after_marker
            for token in self._action():
                yield token
                if token.kind is Kind.ERROR:
                    return
        if self._position < len(self._source):
            yield self._token(Kind.TEXT, self._position, len(self._source))
        yield self._token(Kind.EOF, len(self._source), len(self._source))

    def _text_before(self, end: int) -> Token | None:
        start = self._position
        text = self._source[start:end]
        if self._trims_left(end):
            text = text.rstrip(SPACES)
        return self._token(Kind.TEXT, start, start + len(text)) if text else None

    def _trims_left(self, delimiter: int) -> bool:
        marker = self._source[delimiter + 2 : delimiter + 4]
        return len(marker) == 2 and marker[0] == "-" and marker[1] in SPACES

    def _skip_comment(self, start: int) -> Token | None:
        closing = self._source.find("*/", start + 2)
        if closing < 0:
            return self._error("unclosed comment", start)
        end = closing + 2
        length = self._right_delimiter(end)
        if not length:
            return self._error("comment ends before closing delimiter", start)
        self._leave_action(end, length)
        return None

    def _right_delimiter(self, position: int) -> int:
        """Give the length of the delimiter that closes an action here, with its trim marker."""
        if self._source.startswith(RIGHT, position):
            return 2
        marked = self._source[position : position + 4]
        return 4 if len(marked) == 4 and marked[0] in SPACES and marked[1:] == "-}}" else 0

    def _leave_action(self, position: int, length: int) -> None:
        self._position = position + length
        if length > 2:
            spaces = _SPACE_RUN.match(self._source, self._position)
            self._position = spaces.end() if spaces else self._position

    def _action(self) -> Iterator[Token]:
        self._parentheses = 0
        while True:
            start = self._position
            if length := self._right_delimiter(start):
                if self._parentheses:
                    yield self._error("unclosed left paren", start)
                    return
                yield self._token(Kind.RIGHT_DELIMITER, start + length - 2, start + length)
                self._leave_action(start, length)
                return
            token = self._inside_action(start)
            self._position = start + len(token.text)
            yield token

    def _inside_action(self, start: int) -> Token:
        if start >= len(self._source):
            return self._error("unclosed action", start)
        first = self._source[start]
        if first in SPACES:
            return self._space(start)
        if first in _SINGLE:
            return self._single(first, start)
        if first == ":":
            if not self._source.startswith(":=", start):
                return self._error("expected :=", start)
            return self._token(Kind.DECLARE, start, start + 2)
        if first in _QUOTED:
            return self._quoted(first, start)
        following = self._source[start + 1 : start + 2]
        if first == "$" or (first == "." and following and following not in "0123456789"):
            return self._field_or_variable(first, start)
        if first in ".+-0123456789":
            return self._number(start)
        if _is_alphanumeric(first):
            return self._word(start)
        if first.isascii() and first.isprintable():
            return self._token(Kind.CHARACTER, start, start + 1)
        return self._error(f"unrecognized character in action: {_describe(first)}", start)

    def _space(self, start: int) -> Token:
        run = _SPACE_RUN.match(self._source, start)
        end = run.end() if run else start
        if self._source.startswith("-}}", end):
            end -= 1  # the last one belongs to the delimiter
        return self._token(Kind.SPACE, start, end)

    def _single(self, character: str, start: int) -> Token:
        if character == "(":
            self._parentheses += 1
        elif character == ")":
            self._parentheses -= 1
            if self._parentheses < 0:
                return self._error("unexpected right paren", start)
        return self._token(_SINGLE[character], start, start + 1)

    def _quoted(self, mark: str, start: int) -> Token:
        pattern, kind, unterminated = _QUOTED[mark]
        match = pattern.match(self._source, start)
        if not match:
            return self._error(unterminated, start)
        return self._token(kind, start, match.end())

    def _field_or_variable(self, first: str, start: int) -> Token:
        if self._ends_word(start + 1):
            return self._token(Kind.VARIABLE if first == "$" else Kind.DOT, start, start + 1)
        end = self._word_end(start + 1)
        if not self._ends_word(end):
            return self._error(f"bad character {_describe(self._source[end])}", start)
        return self._token(Kind.VARIABLE if first == "$" else Kind.FIELD, start, end)

    def _word(self, start: int) -> Token:
        end = self._word_end(start)
        if not self._ends_word(end):
            return self._error(f"bad character {_describe(self._source[end])}", start)
        word = self._source[start:end]
        if word in KEYWORDS:
            return self._token(Kind.KEYWORD, start, end)
        return self._token(Kind.BOOL if word in ("true", "false") else Kind.IDENTIFIER, start, end)

    def _word_end(self, position: int) -> int:
        while position < len(self._source) and _is_alphanumeric(self._source[position]):
            position += 1
        return position

    def _ends_word(self, position: int) -> bool:
        if position >= len(self._source) or self._source[position] in _AFTER_WORD:
            return True
        return self._source.startswith(RIGHT, position)

    def _number(self, start: int) -> Token:
        end, good = self._scan_number(start)
        kind = Kind.NUMBER
        if good and self._source[end : end + 1] in ("+", "-"):
            kind = Kind.COMPLEX
            end, good = self._scan_number(end)
            good = good and self._source[end - 1] == "i"
        if not good:
            return self._error(f"bad number syntax: {quote(self._source[start:end])}", start)
        return self._token(kind, start, end)

    def _scan_number(self, start: int) -> tuple[int, bool]:
        match = _NUMBER.match(self._source, start)
        end = match.end() if match else start
        if end < len(self._source) and _is_alphanumeric(self._source[end]):
            return end + 1, False
        return end, True

    def _token(self, kind: Kind, start: int, end: int) -> Token:
        return Token(kind, self._source[start:end], start, self._line_at(start))

    def _error(self, message: str, start: int) -> Token:
        return Token(Kind.ERROR, message, start, self._line_at(start))

    def _line_at(self, position: int) -> int:
        self._line += self._source.count("\n", self._counted, position)
        self._counted = max(self._counted, position)
        return self._line


def _is_alphanumeric(character: str) -> bool:
    return character == "_" or character.isalpha() or character.isdecimal()


def _describe(character: str) -> str:
    shown = f" '{character}'" if is_printable(character) else ""
    return f"U+{ord(character):04X}{shown}"


def column_of(source: str, position: int) -> tuple[int, int]:
    """Give the line of a position, from 1, and its column in bytes, from 0."""
    start = source.rfind("\n", 0, position) + 1
    return source.count("\n", 0, position) + 1, byte_length(source[start:position])
