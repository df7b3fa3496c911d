"""What turns while nothing comes yet."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def spinner() -> Iterator[Callable[[], None]]:
    """Show that something is awaited, on a terminal; gives what ends it, at the latest here."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.stop
