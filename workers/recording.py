"""The tokens of an answer that another worker generated, in the runs of its engine."""

from collections import deque
from collections.abc import Iterable, Iterator

NEW_RUN = -1
"""Stands among an answer's tokens where the engine's next run begins: see `Delta.tokens`."""


class Recording:
    """Gives the runs one after another, to be gone through again.

    Args:
        tokens: of all runs, a negative one between two of them.
    """

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._runs = deque(_runs(tokens))

    def next_run(self) -> tuple[list[int], bool]:
        """Give the next run's tokens, and whether it ended or was left after them."""
        run = self._runs.popleft() if self._runs else []
        return run, bool(run and self._runs)

    def put_back(self, tokens: list[int]) -> None:
        """Let the next run begin with tokens that there was no room for in the last one."""
        self._runs.appendleft(tokens)


def _runs(tokens: Iterable[int]) -> Iterator[list[int]]:
    run: list[int] | None = None
    for token in tokens:
        run = [] if run is None else run
        if token < 0:
            yield run
            run = []
        else:
            run.append(token)
    if run is not None:
        yield run
