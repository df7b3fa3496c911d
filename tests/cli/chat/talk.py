"""A session with `paddock run` in a terminal, as a person has it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.program import Terminal, terminal

_SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]\n+")
PLACEHOLDER = "Send a message (/? for help)"
CTRL_C = "\x03"
CTRL_D = "\x04"
ENTER = "\r"
_SIZE_SEEN = 1.5  # seconds


class Talk:
    """Types at the prompt, and reads what comes."""

    def __init__(self, running: Terminal) -> None:
        self.terminal = running
        self._prompts = 0

    def wait_for_prompt(self) -> None:
        """Wait until the session asks for something again."""
        before = self._prompts
        self.terminal.wait_until(lambda: self.terminal.raw.count(PLACEHOLDER) > before)
        self._prompts = self.terminal.raw.count(PLACEHOLDER)

    def say(self, text: str) -> str:
        """Type a line; give what was printed until the next prompt."""
        self.begin(text)
        return self.rest()

    def begin(self, text: str) -> None:
        """Type a line."""
        self._seen = len(self.terminal.text)
        self.terminal.type(text + ENTER)

    def rest(self) -> str:
        """Give what is printed after the line that was typed, until the next prompt."""
        self.wait_for_prompt()
        output = self.terminal.text[self._seen :].rpartition(">>> " + PLACEHOLDER)[0]
        return _SPINNER.sub("", output.partition("\n\n")[2]).strip()

    def resize(self, columns: int) -> None:
        """Make the terminal wider or narrower, and wait until the prompt was drawn anew.

        It is drawn for the signal, and again when the size is looked at, each half second.
        """
        self.terminal.resize(columns)
        self.wait_for_prompt()
        seen = time.monotonic()
        self.terminal.wait_until(lambda: time.monotonic() > seen + _SIZE_SEEN)
        self._prompts = self.terminal.raw.count(PLACEHOLDER)

    def leave(self) -> None:
        """Press Ctrl-D, as one who is done."""
        self.terminal.type(CTRL_D)
        assert self.terminal.wait() == 0


@contextmanager
def talk(
    url: str, home: Path, *options: str, model: str = "fake", **variables: str
) -> Iterator[Talk]:
    """Begin a session, in a folder that is the user's home as well."""
    with terminal(
        "run", model, *options, url=url, cwd=home, HOME=str(home), **variables
    ) as running:
        session = Talk(running)
        session.wait_for_prompt()
        yield session
