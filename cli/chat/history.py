"""What the user typed in earlier sessions."""

import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

_PATH = Path("~/.paddock/history")
_SWITCHES = ("PADDOCK_NOHISTORY", "OLLAMA_NOHISTORY")
_OFF = ("", "0", "f", "false")


class PromptHistory(FileHistory):
    """A file that only the user can read; where it cannot be written there is none."""

    def __init__(self) -> None:
        self.enabled = not any(
            os.environ.get(name, "").strip().lower() not in _OFF for name in _SWITCHES
        )
        """Whether what is typed is kept beyond the session."""
        super().__init__(str(_PATH.expanduser()))

    def load_history_strings(self) -> Iterable[str]:
        """Read the file, the newest entry first."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Add an entry to the file."""
        if not self.enabled:
            return
        path = Path(os.fsdecode(self.filename))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            super().store_string(string)
        except OSError:
            self.enabled = False
