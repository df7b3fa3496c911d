"""An answer on standard output: as it comes, thoughts set apart, wrapped on a terminal."""

import json
import os
import re
import sys
from io import TextIOWrapper

import ollama

from cli.chat.wrapping import WordWrap

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIM = "\x1b[2m"
_BOLD = "\x1b[1m"
_PLAIN = "\x1b[0m"
_OPENING = "Thinking..."
_CLOSING = "...done thinking."
_DEFAULT_WIDTH = 80


class AnswerDisplay:
    """Writes the parts of one answer, and remembers it."""

    def __init__(self, *, word_wrap: bool, hide_thinking: bool) -> None:
        """Prepare for an answer; a terminal is looked for on standard output."""
        self._on_terminal = sys.stdout.isatty()
        self._has_styles = self._on_terminal and os.environ.get("TERM") != "dumb"
        self._wraps = word_wrap and self._has_styles
        self._hides_thinking = hide_thinking
        self._wrap = WordWrap()
        self._is_thinking = False
        if isinstance(sys.stdout, TextIOWrapper):  # whose encoding may lack what a model says
            sys.stdout.reconfigure(errors="replace")
        self._has_written = False
        self.thinking = ""
        self.content = ""

    def is_visible(self, part: ollama.Message) -> bool:
        """Tell whether a part of the answer shows."""
        has_thoughts = bool(part.thinking) and not self._hides_thinking
        return has_thoughts or bool(part.content) or bool(part.tool_calls)

    def show(self, part: ollama.Message) -> None:
        """Write a part of the answer."""
        if part.thinking:
            self._think(part.thinking)
        if part.content or part.tool_calls:
            self._end_thinking()
        if part.content:
            self.content += part.content
            self._write_wrapped(part.content)
        for call in part.tool_calls or ():
            arguments = json.dumps(call.function.arguments, ensure_ascii=False)
            self._write_wrapped(
                f"  Model called a non-existent function '{call.function.name}()' "
                f"with arguments: {arguments}"
            )

    def show_question(self, text: str) -> None:
        """Write what was asked in an earlier session, as it stood at the prompt."""
        self._write_wrapped(f">>> {text}\n")

    def end(self) -> None:
        """End an answer that is complete, with an empty line."""
        self._end_thoughts_style()
        self._write("\n\n")

    def break_off(self) -> None:
        """End an answer where it is; what follows begins a line of its own."""
        self._end_thoughts_style()
        if self._has_written:
            self._write("\n")

    def _think(self, text: str) -> None:
        self.thinking += text
        if self._hides_thinking:
            return
        if not self._is_thinking:
            self._is_thinking = True
            self._write(self._styled(_OPENING, _DIM + _BOLD) + "\n")
            self._write(_DIM if self._has_styles else "")
        self._write_wrapped(text)

    def _end_thinking(self) -> None:
        if not self._is_thinking:
            return
        self._end_thoughts_style()
        self._is_thinking = False
        self._wrap = WordWrap()
        self._write("" if self.thinking.endswith("\n") else "\n")
        self._write(self._styled(_CLOSING, _DIM + _BOLD) + "\n\n")

    def _end_thoughts_style(self) -> None:
        if self._is_thinking and self._has_styles:
            self._write(_PLAIN)

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._has_styles else text

    def _write_wrapped(self, text: str) -> None:
        if self._on_terminal:  # it is not to be told what a model wants
            text = _CONTROLS.sub("", text)
        self._write(self._wrap.feed(text, _terminal_width()) if self._wraps else text)

    def _write(self, text: str) -> None:
        self._has_written = self._has_written or bool(text)
        sys.stdout.write(text)
        sys.stdout.flush()


def _terminal_width() -> int:
    """Ask the terminal, which may have been resized, rather than the environment."""
    return os.get_terminal_size(sys.stdout.fileno()).columns or _DEFAULT_WIDTH
