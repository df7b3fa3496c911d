"""The life of a process: logging, the event loop, signals, and the tie to its parent."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable

import uvloop

from common.errors import PaddockError

LIFELINE_VARIABLE = "PADDOCK_LIFELINE"


def run_process(
    name: str, log_level: str, main: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Run `main` until it returns; SIGTERM or SIGINT set the event that asks it to drain.

    A `PaddockError` ends the process with status 1 and its message.
    """
    configure_logging(name, log_level)
    follow_parent()
    try:
        uvloop.run(_main(main))
    except PaddockError as error:
        sys.exit(f"{name}: {error.message}")


def configure_logging(name: str, level: str) -> None:
    """Log to standard error, each line marked with the process's name."""
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname).1s {name} %(name)s: %(message)s",
        force=True,
    )
    # It tells of every client that it makes.
    logging.getLogger("botocore").setLevel(max(logging.WARNING, logging.getLogger().level))


async def _main(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)


def follow_parent() -> None:
    """End this process when the one that started it is gone, however it went.

    The parent holds the write end of a pipe and names the read end in
    `PADDOCK_LIFELINE`; the kernel closes the write end even on SIGKILL.
    """
    descriptor = os.environ.pop(LIFELINE_VARIABLE, None)
    if descriptor:
        os.set_inheritable(int(descriptor), False)
        watch_lifeline(int(descriptor))


def watch_lifeline(descriptor: int) -> None:
    """Kill this process as soon as the other end of the pipe closes."""

    def wait() -> None:
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
