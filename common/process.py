"""The life of a process: logging, the event loop, signals, and the tie to its parent."""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Awaitable, Callable

import uvloop

from common.errors import InvalidRequest, PaddockError
from common.memory import keep_freed_memory
from common.tls import Tls, TlsSettings, process_tls

logger = logging.getLogger(__name__)

LIFELINE_VARIABLE = "PADDOCK_LIFELINE"

# Containers that make a collection worth its time; Python's own number is 700.
_YOUNG_OBJECTS = 5_000

_RENEWAL_CHECK = 60.0  # seconds
_RENEWAL_SPREAD = 3600.0


def run_process(
    name: str, log_level: str, main: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Run `main` until it returns; SIGTERM or SIGINT set the event that asks it to drain.

    A `PaddockError` ends the process with status 1 and its message.
    """
    configure_logging(name, log_level)
    follow_parent()
    keep_freed_memory()
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
    renewal = asyncio.create_task(_leave_when_renewed(stop))
    _spare_the_collector()
    try:
        await main(stop)
    finally:
        renewal.cancel()


def _spare_the_collector() -> None:
    """Let garbage collection look at what is new alone, and less often.

    What was imported stays for ever, and to go through all of it takes 50 ms, in which nothing
    else happens. Nearly all garbage here is freed without the collector.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def _leave_when_renewed(stop: asyncio.Event) -> None:
    """Drain some time after this process's certificate was replaced, to be started with it.

    gRPC's channels keep what they were opened with. The time is random, so that the processes
    do not all leave at once; certificates are renewed long before they expire.
    """
    settings = TlsSettings()
    if not settings.files:
        return
    while not await asyncio.to_thread(_is_replaced, settings):  # noqa: ASYNC110
        await asyncio.sleep(_RENEWAL_CHECK)
    delay = random.uniform(0, _RENEWAL_SPREAD)
    logger.info("the certificate was replaced: leaving in %.0f s", delay)
    await asyncio.sleep(delay)
    stop.set()


def _is_replaced(settings: TlsSettings) -> bool:
    with contextlib.suppress(InvalidRequest):  # it is being replaced
        return Tls.read(settings) != process_tls()
    return False


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
