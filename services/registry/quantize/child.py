"""The process that quantises, as the registry starts it, hears it and ends it."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from common.errors import Internal, error_for
from services.registry.quantize.job import Event, Job

# Its own threads share the processors; those of numpy's linear algebra would only take memory.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


async def run_child(job: Job) -> AsyncGenerator[Event, None]:
    """Have a job done and give the events; closing this ends the process.

    Raises:
        PaddockError: what went wrong there.
    """
    async with _started() as process:
        assert process.stdin
        assert process.stdout
        with suppress(ConnectionError):  # it has ended; its status says more
            process.stdin.write(job.model_dump_json().encode() + b"\n")
            await process.stdin.drain()
        async for line in process.stdout:
            event = Event.model_validate_json(line)
            if event.failure:
                raise error_for(event.failure.reason, event.failure.message)
            yield event
        if status := await process.wait():
            raise Internal(f"the process that quantizes ended with status {status}")


@asynccontextmanager
async def _started() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.registry.quantize",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **_ENVIRONMENT},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
