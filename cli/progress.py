"""How far long operations are: bars on a terminal, plain lines elsewhere, or nothing.

All of it goes to standard error, so that standard output holds results alone.
"""

import os
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import Protocol, Self

import typer

from cli.formats import human_bytes

_LINE_INTERVAL = 10.0  # seconds


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows steps while it is entered. Every method may be called from any thread."""

    def status(self, text: str) -> None:
        """Say what is being done now; the step before it is over."""

    def advance(self, label: str, completed: int, total: int) -> None:
        """Say how many bytes of something are done."""


def open_progress(*, quiet: bool = False) -> Progress:
    """Choose how to show progress."""
    if quiet:
        return Silence()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from cli.bars import Bars

        return Bars()
    return Lines()


class Silence(Progress):
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def status(self, text: str) -> None:
        """Keep it to itself."""

    def advance(self, label: str, completed: int, total: int) -> None:
        """Keep it to itself."""


class Lines(Progress):
    """A line for each step; for bytes one every ten seconds, and one at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status = ""
        self._shown: dict[str, tuple[float, bool]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def status(self, text: str) -> None:
        """Print a step that is not the one before."""
        with self._lock:
            if text != self._status:
                self._status = text
                typer.echo(text, err=True)

    def advance(self, label: str, completed: int, total: int) -> None:
        """Print how far something is, if it is time to."""
        now = time.monotonic()
        is_done = completed >= total
        with self._lock:
            since, was_done = self._shown.setdefault(label, (now, False))
            if was_done or (now - since < _LINE_INTERVAL and not is_done):
                return
            self._shown[label] = (now, is_done)
            typer.echo(f"{label}: {_share(completed, total)}", err=True)


def _share(completed: int, total: int) -> str:
    if completed >= total:
        return f"100% {human_bytes(total)}"
    return f"{100 * completed // total:>3}% {human_bytes(completed)}/{human_bytes(total)}"
