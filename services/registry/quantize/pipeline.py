"""Working on a matrix a few rows at a time: on all processors, in order, in little memory."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from services.registry.quantize.floats import FLOAT_SIZES, Floats, decode_floats
from services.registry.quantize.source import Source

Result = TypeVar("Result")

CHUNK = 1 << 20
"""Weights that are converted at a time, at least a row: 4 MiB in single precision."""

_MAX_THREADS = 8  # each takes about 20 MiB, and a store hardly takes more than they make


@dataclass(frozen=True)
class Matrix:
    """A matrix of floating-point numbers in a file."""

    offset: int
    """In bytes."""

    rows: int
    columns: int
    dtype: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.rows * self.columns * FLOAT_SIZES[self.dtype]


async def convert_rows(
    source: Source,
    matrix: Matrix,
    convert: Callable[[Floats], Result],
    progress: Callable[[int], None],
) -> AsyncGenerator[Result, None]:
    """Convert a matrix, some rows at a time; results come in order.

    One chunk more than there are threads is in memory at any time.

    Args:
        source: the file.
        matrix: its place there.
        convert: makes rows something else; it runs on a thread.
        progress: is told how many bytes of the source are done with.
    """
    row = matrix.columns * FLOAT_SIZES[matrix.dtype]
    step = max(1, CHUNK // max(1, matrix.columns))

    async def work(first: int) -> tuple[Result, int]:
        rows = min(step, matrix.rows - first)
        data = await source.read(matrix.offset + first * row, rows * row)
        return await asyncio.to_thread(_convert, data, matrix, convert), len(data)

    async for result, size in _ordered(work(first) for first in range(0, matrix.rows, step)):
        progress(size)
        yield result


def _convert(data: bytes, matrix: Matrix, convert: Callable[[Floats], Result]) -> Result:
    return convert(decode_floats(data, matrix.dtype).reshape(-1, matrix.columns))


async def _ordered(work: Iterable[Coroutine[Any, Any, Result]]) -> AsyncGenerator[Result, None]:
    """Run coroutines, as many at once as may be; give results in order."""
    limit = min(len(os.sched_getaffinity(0)), _MAX_THREADS)
    running: deque[asyncio.Task[Result]] = deque()
    try:
        for coroutine in work:
            running.append(asyncio.create_task(coroutine))
            if len(running) > limit:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
