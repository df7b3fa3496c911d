"""The prompt of a session: a line, or a message of several lines, edited as in a shell."""

import os
import sys

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

from cli.chat.history import PromptHistory
from cli.chat.messages import is_unfinished, readable

_PROMPT = ">>> "
_CONTINUATION = "... "
_PLACEHOLDER = "Send a message (/? for help)"
_STYLE = Style.from_dict({"placeholder": "#8a8a8a"})
_EDITOR_VARIABLES = ("PADDOCK_EDITOR", "OLLAMA_EDITOR")

keys = KeyBindings()


class Prompt:
    """Reads what the user types."""

    def __init__(self) -> None:
        self.history = PromptHistory()
        self._session: PromptSession[str] = PromptSession(
            _PROMPT,
            history=self.history,
            key_bindings=keys,
            multiline=True,
            prompt_continuation=_continuation,
            placeholder=_placeholder,
            style=_STYLE,
            enable_suspend=True,
            reserve_space_for_menu=0,
            output=_output(),
        )

    def read(self) -> str:
        """Wait for a message.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            EOFError: Ctrl-D was pressed, or the terminal is gone.
        """
        return readable(self._session.prompt(handle_sigint=False))


@keys.add("enter")
def _(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    if is_unfinished(buffer.text):
        buffer.insert_text("\n")
    else:
        buffer.validate_and_handle()


@keys.add("escape", "enter")
@keys.add("c-j")
def _(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


@keys.add("c-g")
def _(event: KeyPressEvent) -> None:
    if editor := next((text for name in _EDITOR_VARIABLES if (text := os.environ.get(name))), ""):
        os.environ["VISUAL"] = editor  # where prompt_toolkit looks first
    event.current_buffer.open_in_editor()


def _continuation(width: int, _line: int, wrap_count: int) -> AnyFormattedText:
    return " " * width if wrap_count else _CONTINUATION


def _placeholder() -> AnyFormattedText:
    """Show it while the prompt waits, on a terminal where it fits in the line."""
    app = get_app()
    fits = len(_PROMPT + _PLACEHOLDER) < app.output.get_size().columns
    return [("class:placeholder", _PLACEHOLDER)] if fits and not app.is_done else ""


def _output() -> Output | None:
    """Write to the terminal without asking it for the cursor's position; None: it is too simple.

    Nothing here needs to know, and a late reply would be taken for what the user types.
    """
    if is_dumb_terminal():
        return None
    output = Vt100_Output.from_pty(
        sys.stdout,
        term=os.environ.get("TERM"),
        default_color_depth=ColorDepth.from_env(),  # NO_COLOR
    )
    output.enable_cpr = False
    return output
