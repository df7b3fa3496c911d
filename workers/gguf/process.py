"""Running the converter: in a process of its own, which ends when nobody wants its result."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from common.errors import LoadFailed, error_for

Progress = Callable[[int, int], None]

# Each thread that a library starts takes memory, and there is nothing for it to do.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


async def measure_in_process(source: Path) -> tuple[int, bool]:
    """Give the bytes of a model's converted weights, and whether a GPU serves it as it is.

    Raises:
        InvalidModel: the files are damaged, or of a kind that is not supported.
    """
    measured = await _run([str(source)], lambda *_: None)
    return int(measured["size"]), bool(measured["native"])


async def convert_in_process(
    source: Path, target: Path, progress: Progress, *, weights: bool = True
) -> None:
    """Convert the GGUF model in a folder into another one: see `workers.gguf.folder.convert`.

    Raises:
        InvalidModel: the files are damaged, or of a kind that is not supported.
        LoadFailed: the disk is full, or the process died.
    """
    options = [] if weights else ["--no-weights"]
    await _run([*options, str(source), str(target)], progress)


async def _run(arguments: list[str], progress: Progress) -> dict[str, Any]:
    async with _process(arguments) as process:
        assert process.stdout
        async for line in process.stdout:
            news = json.loads(line)
            if "total" in news:
                progress(news["completed"], news["total"])
            elif "error" in news:
                raise error_for(news["reason"], news["error"])
            elif "done" in news:
                done: dict[str, Any] = news["done"]
                return done
        status = await process.wait()
    raise LoadFailed(f"cannot convert the model: the converter {_how_it_ended(status)}")


def _how_it_ended(status: int) -> str:
    if status == -signal.SIGABRT:
        return "gave up, perhaps for want of memory"
    if status < 0:
        return f"was killed by signal {-status}, perhaps for want of memory"
    return f"ended with status {status}"


@asynccontextmanager
async def _process(arguments: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    parent = ["--parent", str(os.getpid())]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers.gguf", *parent, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | _ONE_THREAD,
        start_new_session=True,  # Ctrl-C reaches whole groups; the worker decides
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
