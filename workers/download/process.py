"""Downloads in a process of their own, so that the bytes of a load hold up nobody's tokens.

On threads of the worker's own process they did: with 32 connections its event loop was late
by 30 ms in one of a hundred cases, and by 3 ms beside another process.

The child gets a `Job` by its standard input, which stays open: the child ends with this
process, however that ends. It answers with a line of JSON now and then.
"""

import asyncio
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from common.errors import LoadFailed, error_for
from workers.download.downloads import Wanted
from workers.download.settings import DownloadLimits

logger = logging.getLogger(__name__)

# Processes in a row that may be killed under one load.
_ATTEMPTS = 3


class Downloader(Protocol):
    """Brings blobs."""

    async def bring(self, wanted: Sequence[Wanted], received: Callable[[int], None]) -> None:
        """See `DownloadProcess.bring`."""


@dataclass(frozen=True)
class Job:
    """What a child has to do."""

    address: str
    """Of the Blob service."""

    limits: DownloadLimits
    wanted: list[Wanted]


class DownloadProcess:
    """Brings each set of blobs with a process of its own."""

    def __init__(self, address: str, limits: DownloadLimits) -> None:
        self._address = address
        self._limits = limits

    async def bring(self, wanted: Sequence[Wanted], received: Callable[[int], None]) -> None:
        """Bring blobs, going on from what an earlier attempt left of them.

        `received` is told of bytes that have arrived, on some thread; fewer than none are
        bytes that have to be read again.

        Raises:
            DigestMismatch: bytes of one are others; nothing of it is left.
            BlobNotFound: the store lacks one.
            StoreFailed: they cannot be read; what came stays for another attempt.
            LoadFailed: the processes were killed.
            OSError: they cannot be written.
        """
        job = pickle.dumps(Job(self._address, self._limits, list(wanted)))
        for _ in range(_ATTEMPTS):
            if await self._run(job, received):
                return
        raise LoadFailed("the processes that read the model's files were killed")

    async def _run(self, job: bytes, received: Callable[[int], None]) -> bool:
        """Run a child to its end; False when it was killed."""
        process = await asyncio.to_thread(_start)
        thread = ThreadPoolExecutor(1, "download")
        loop = asyncio.get_running_loop()
        following = loop.run_in_executor(thread, _follow, process, job, received)
        try:
            return await asyncio.shield(following)
        finally:
            process.kill()
            # Its end, after which it writes no more, may take a while: the disk may be busy.
            await asyncio.gather(following, return_exceptions=True)
            thread.shutdown()


def _start() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "workers.download"]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches whole groups; the worker decides
    )


def _follow(
    process: "subprocess.Popen[bytes]", job: bytes, received: Callable[[int], None]
) -> bool:
    """Give a child its job and listen to it; False when it ends without a last word."""
    assert process.stdin
    assert process.stdout
    total = 0
    with process:
        try:
            process.stdin.write(job)
            process.stdin.flush()
        except BrokenPipeError:
            process.stdin = None
        for line in process.stdout:
            answer = json.loads(line)
            if "received" in answer:
                received(answer["received"])
                total += answer["received"]
            elif "errno" in answer:
                raise OSError(answer["errno"], answer["message"])
            elif "reason" in answer:
                raise error_for(answer["reason"], answer["message"])
            else:
                return True
        process.wait()
    logger.error("the process that reads files ended with status %d", process.returncode)
    received(-total)  # the next one tells of them again
    return False
