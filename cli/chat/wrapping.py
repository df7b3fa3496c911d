"""Word wrap for text that comes in pieces and has to be seen at once.

Every character is written when it comes. When a word turns out to be too long for the line, it
is taken back and written anew on the next one.
"""

from rich.cells import get_character_cell_size

_NARROWEST = 10  # cells; a terminal with fewer wraps for itself
_TAB = 8  # cells
_EMOJI_FORM = "\ufe0f"  # makes the character before it wider, on some terminals


class WordWrap:
    """Turns pieces of text into what a terminal is to be sent.

    The last column stays free: in it terminals disagree on where the cursor is.
    """

    def __init__(self) -> None:
        self._terminal_width = 0
        self._column = 0
        self._word = ""
        self._word_width = 0

    def feed(self, text: str, terminal_width: int) -> str:
        """Give the text with line breaks and corrections; the width may be another each time."""
        if terminal_width < _NARROWEST:
            return text
        self._resize(terminal_width)
        return "".join(map(self._place, text))

    def _resize(self, terminal_width: int) -> None:
        if terminal_width < self._terminal_width:  # the terminal broke the line
            self._column %= terminal_width
            if self._word_width > self._column:
                self._end_word()
        self._terminal_width = terminal_width

    def _place(self, character: str) -> str:
        if character == "\n":
            self._column = 0
            self._end_word()
            return character
        if character in " \t":
            return self._place_blank(character)
        if character == _EMOJI_FORM:
            self._column += 1
            self._end_word()  # so that nothing depends on how wide it really is
            return character
        width = get_character_cell_size(character)
        correction = self._make_room(width)
        self._column += width
        if width > 1:  # a line may be broken after it
            self._end_word()
        else:
            self._word += character
            self._word_width += width
        return correction + character

    def _place_blank(self, character: str) -> str:
        self._end_word()
        width = 1 if character == " " else _TAB - self._column % _TAB
        if self._column + width >= self._terminal_width:
            self._column = 0
            return "\n"
        self._column += width
        return character

    def _make_room(self, width: int) -> str:
        if self._column + width < self._terminal_width:
            return ""
        if self._word_width == self._column:  # a word as long as the line
            self._end_word()
            self._column = 0
            return "\n"
        self._column = self._word_width
        back = f"\x1b[{self._word_width}D\x1b[K" if self._word_width else ""
        return f"{back}\n{self._word}"

    def _end_word(self) -> None:
        self._word = ""
        self._word_width = 0
