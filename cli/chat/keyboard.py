"""The keyboard between prompts: what is typed then is kept for the next one, and not echoed."""

import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_INPUT_FLAGS, _LOCAL_FLAGS = 0, 3  # places in what `tcgetattr` gives


@contextmanager
def keys_kept() -> Iterator[None]:
    """Leave keys as they are pressed, but for Ctrl-C, which interrupts.

    As lines, Enter would come as another key than the prompt waits for.
    """
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    attributes = termios.tcgetattr(keyboard)
    attributes[_INPUT_FLAGS] &= ~termios.ICRNL
    attributes[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keyboard, termios.TCSANOW, attributes)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def interrupts(*, wanted: bool) -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`, or do nothing.

    One that was meant for an answer which just ended is not to end the session.
    """
    before = signal.signal(signal.SIGINT, _interrupt if wanted else _do_nothing)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _do_nothing(*_: object) -> None:
    """Take a signal; unlike one that is ignored it is not so for an editor as well."""
