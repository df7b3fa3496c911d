"""Go's `fmt.Sprintf`: its verbs, flags, widths, and what it writes for a wrong argument."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from common.gotemplate.floats import format_float
from common.gotemplate.limits import MAXIMUM_WIDTH, check_depth, join_bounded
from common.gotemplate.printing import NIL, bound_text, to_text
from common.gotemplate.quoting import is_printable, quote
from common.gotemplate.values import Bound, encode, items_in_order, joined, type_name

_DIRECTIVE = re.compile(
    r"%(?P<flags>[#0+\- ]*)(?P<index>\[[^\]]{0,9}\])?(?P<width>\*|\d+)?"
    r"(?P<point>\.(?P<point_index>\[[^\]]{0,9}\])?(?P<precision>\*|\d+)?)?"
    r"(?P<last_index>\[[^\]]{0,9}\])?(?P<verb>.)?",
    re.DOTALL | re.ASCII,
)
_INDEX = re.compile(r"\[(\d{1,7})\]", re.ASCII)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class _Format:
    """How one argument is to be written."""

    verb: str
    flags: str
    width: int | None = None
    precision: int | None = None

    @property
    def left(self) -> bool:
        return "-" in self.flags

    def pad(self, text: str, zeros: bool = True) -> str:
        """Fill up to the width, with zeros where the flag says so and the caller lets it."""
        missing = self.width - len(joined(text)) if self.width else 0
        if missing <= 0:
            return text
        if self.left:
            return text + " " * missing
        return ("0" if zeros and "0" in self.flags else " ") * missing + text


def format_text(template: str, *values: object) -> str:
    """Write values into a format string.

    Raises:
        EvaluationFailed: the text becomes too long.
    """
    return join_bounded(_Formatter(template, values).parts())


class _Formatter:
    """Walks a format string, taking one argument after the other."""

    def __init__(self, template: str, values: Sequence[object]) -> None:
        self._template = template
        self._values = values
        self._next = 0
        self._reordered = False
        self._good = True

    def parts(self) -> Iterator[str]:
        position = 0
        for directive in _DIRECTIVE.finditer(self._template):
            yield self._template[position : directive.start()]
            yield from self._directive(directive)
            position = directive.end()
        yield self._template[position:]
        if not self._reordered and self._next < len(self._values):
            rest = self._values[self._next :]
            yield f"%!(EXTRA {join_bounded(map(_typed, rest), ', ')})"

    def _directive(self, directive: re.Match[str]) -> Iterator[str]:
        self._good = True
        flags, verb = directive["flags"], directive["verb"]
        indexed = self._take_index(directive["index"])
        width, bad_width = self._number(directive["width"])
        if bad_width:
            yield "%!(BADWIDTH)"
        if width is not None and width < 0:
            width, flags = -width, flags.replace("0", "") + "-"
        if indexed and (directive["point"] or (directive["width"] or "*") != "*"):
            self._good = False
        indexed = self._take_index(directive["point_index"]) or indexed
        precision, bad_precision = self._number(directive["precision"])
        if bad_precision or (precision is not None and precision < 0):
            precision = None
            yield "%!(BADPREC)"
        elif directive["point"] and precision is None:
            precision = 0
        self._take_index(directive["last_index"])
        if verb is None:
            yield "%!(NOVERB)"
            return
        yield self._write(_Format(verb, flags, width, precision))

    def _write(self, how: _Format) -> str:
        if how.verb == "%":
            return "%"
        if not self._good:
            return f"%!{how.verb}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{how.verb}(MISSING)"
        self._next += 1
        return _format(self._values[self._next - 1], how, 0)

    def _take_index(self, text: str | None) -> bool:
        if text is None:
            return False
        self._reordered = True
        match = _INDEX.fullmatch(text)
        if match and 1 <= int(match[1]) <= len(self._values):
            self._next = int(match[1]) - 1
            return True
        self._good = False
        return match is not None

    def _number(self, text: str | None) -> tuple[int | None, bool]:
        """Read a width or precision; tell whether a value was taken that is none."""
        if text is None:
            return None, False
        number: object = int(text[:8]) if text != "*" else None
        if text == "*" and self._next < len(self._values):
            number = self._values[self._next]
            self._next += 1
        if type(number) is int and abs(number) <= MAXIMUM_WIDTH:
            return number, False
        return None, True


def _format(value: object, how: _Format, depth: int) -> str:
    check_depth(depth)
    if how.verb == "T":
        return how.pad(NIL if value is None else type_name(value))
    if isinstance(value, Bound) and how.verb in "vsxXq":
        value = bound_text(value)
    if isinstance(value, dict):
        items = items_in_order(value)
        pairs = (f"{_format(k, how, depth + 1)}:{_format(v, how, depth + 1)}" for k, v in items)
        return f"map[{join_bounded(pairs, ' ')}]"
    if isinstance(value, list | tuple):
        return f"[{join_bounded((_format(item, how, depth + 1) for item in value), ' ')}]"
    if value is None:
        return _format_nil(how, depth)
    if isinstance(value, bytes):
        return _format_bytes(value, how)
    write = _WRITERS.get(type(value))
    text = write(value, how) if write else None
    return f"%!{how.verb}({_typed(value, how)})" if text is None else text


def _typed(value: object, how: _Format | None = None) -> str:
    """Write a value with its type, as an argument that nothing asked for."""
    if value is None:
        return NIL
    text = _format(value, replace(how, verb="v"), 0) if how else to_text(value)
    return f"{type_name(value)}={text}"


def _format_nil(how: _Format, depth: int) -> str:
    if depth:
        return NIL
    return how.pad(NIL) if how.verb == "v" else f"%!{how.verb}({NIL})"


def _format_bool(value: object, how: _Format) -> str | None:
    return how.pad("true" if value else "false") if how.verb in "tv" else None


def _format_bytes(value: bytes, how: _Format) -> str:
    if how.verb in "sqxX":
        return _format_string(value.decode("utf-8", "surrogateescape"), how) or ""
    return f"[{join_bounded((_format(byte, how, 0) for byte in value), ' ')}]"


def _format_string(value: object, how: _Format) -> str | None:
    assert isinstance(value, str)
    if how.verb in "xX":
        return _hexadecimal(encode(value), how)
    text = value
    if how.precision is not None:
        text = joined(value)[: how.precision]
    if how.verb == "q" or (how.verb == "v" and "#" in how.flags):
        return how.pad(_quoted(text, how))
    return how.pad(text) if how.verb in "sv" else None


def _quoted(text: str, how: _Format) -> str:
    if "#" in how.flags and how.verb == "q" and all(map(_goes_in_back_quotes, joined(text))):
        return f"`{text}`"
    return quote(text, ascii_only="+" in how.flags and how.verb == "q")


def _goes_in_back_quotes(character: str) -> bool:
    return character == "\t" or (character not in "`\x7f\ufeff" and character >= " ")


def _hexadecimal(content: bytes, how: _Format) -> str:
    content = content[: how.precision]
    prefix = "0x" if "#" in how.flags and content else ""
    between = " " if " " in how.flags else ""
    text = prefix + content.hex(*between).replace(" ", f" {prefix}")
    return how.pad(text.upper() if how.verb == "X" else text)


_BASES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}


def _format_integer(value: object, how: _Format) -> str | None:
    assert isinstance(value, int)
    if how.verb in "cqU":
        return _format_code_point(value, how)
    base = _BASES.get(how.verb)
    if base is None:
        return None
    sign = "-" if value < 0 else "+" if "+" in how.flags else " " if " " in how.flags else ""
    digits = f"{abs(value):{base}}"
    if how.precision is not None:
        digits = digits.rjust(how.precision, "0") if how.precision or value else ""
        if not digits:
            return how.pad("", zeros=False)
    elif "0" in how.flags and not how.left and how.width:
        digits = digits.rjust(how.width - len(sign), "0")
    if "#" in how.flags and base in _PREFIXES and not (base == "o" and digits[0] == "0"):
        digits = _PREFIXES[base] + digits
    return how.pad(sign + ("0o" if how.verb == "O" else "") + digits, zeros=False)


def _format_code_point(value: int, how: _Format) -> str:
    valid = 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000
    character = chr(value) if valid else _REPLACEMENT
    if how.verb == "c":
        return how.pad(character)
    if how.verb == "q":
        return how.pad(quote(character, "'", "+" in how.flags))
    code = value if value >= 0 else value + 2**64
    text = f"U+{code:0{max(4, how.precision or 0)}X}"
    shown = f" '{character}'" if "#" in how.flags and valid and is_printable(character) else ""
    return how.pad(text + shown, zeros=False)


_DEFAULT_PRECISION = {"e": 6, "E": 6, "f": 6, "F": 6, "g": -1, "G": -1, "v": -1}


def _format_float(value: object, how: _Format) -> str | None:
    assert isinstance(value, float)
    if how.verb not in _DEFAULT_PRECISION:
        return None
    verb = {"v": "g", "F": "f"}.get(how.verb, how.verb)
    precision = _DEFAULT_PRECISION[how.verb] if how.precision is None else how.precision
    text = format_float(value, verb, precision)
    if text[0] not in "+-":
        text = "+" + text
    finite = text[1] != "I" and text[1:] != "NaN"
    if text[0] == "+" and "+" not in how.flags:
        text = (" " if " " in how.flags else "") + text[1:]
    signed = text[0] in "+- "
    if finite and signed and "0" in how.flags and not how.left:
        return text[0] + replace(how, width=max((how.width or 0) - 1, 0)).pad(text[1:])
    return how.pad(text, zeros=finite)


_WRITERS: dict[type, Callable[[object, _Format], str | None]] = {
    str: _format_string,
    bool: _format_bool,
    int: _format_integer,
    float: _format_float,
}
