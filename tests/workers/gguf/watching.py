"""One who is told how far a model's files are."""

import asyncio


class Watching:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.wanted: list[int] = []
        self.arrived = 0
        self.converted: list[tuple[int, int]] = []
        self.begun = asyncio.Event()

    def fetching(self, total: int) -> None:
        self.wanted.append(total)

    def fetched(self, size: int) -> None:
        self.arrived += size

    def converting(self, completed: int, total: int) -> None:
        self.converted.append((completed, total))
        self.begun.set()
