"""Telling any number of watchers that something changed."""

import asyncio


class Changes:
    """A bell: whoever waits when it rings wakes; rings in a row count as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def announce(self) -> None:
        """Wake everybody who waits."""
        self._event.set()
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Give the event that the next announcement sets. Take it before looking at the state."""
        return self._event
