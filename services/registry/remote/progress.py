"""How far a blob is on its way from or to another registry."""

from dataclasses import dataclass


@dataclass
class Progress:
    """How far a transfer is, in bytes."""

    completed: int = 0

    def add(self, count: int) -> None:
        """Count what came or went."""
        self.completed += count
