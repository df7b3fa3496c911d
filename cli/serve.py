"""`paddock serve`: the whole suite on this machine, kept running until it is told to stop."""

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import aiohttp

from cli.child import Child
from cli.demo import chat_models, install_demo
from cli.shares import divide, gateways_for, serving_cpus
from cli.suite import Suite
from common.cpus import format_cpus
from common.gpus import computes_on_cpu, visible_gpus
from common.hosts import HostAddress
from common.process import run_process

_LOG_TAIL = 15  # lines
_PATIENCE = 10.0  # seconds without news
_START_TIMEOUT = 120.0  # seconds
_EXTRA_GRACE = 10.0  # seconds beyond that: last updates are read, engines end


class StartFailed(Exception):
    """The suite could not be started; the message says why."""


@dataclass(frozen=True)
class ServeOptions:
    """The options of `paddock serve`."""

    host: str
    home: Path
    store: str
    demo: Path | None
    log_level: str
    workers: int
    gateways: int
    """0: as many as the machine's cores have use for."""
    drain_delay: str
    drain_timeout: str


def serve(options: ServeOptions) -> None:
    """Run the suite until SIGINT or SIGTERM; a second signal ends it at once.

    Raises:
        StartFailed: a process did not come up, or another suite uses this home.
    """
    suite = Suite(
        HostAddress.parse(options.host),
        options.home,
        options.store,
        options.log_level,
        shares=divide(options.workers, visible_gpus() if options.workers > 1 else []),
        gateways=options.gateways or gateways_for(os.cpu_count() or 1),
        serving_cpus=_serving_cpus(options.workers),
        drain_delay=options.drain_delay,
        drain_timeout=options.drain_timeout,
    )
    suite.prepare()
    with _sole_user_of(suite.home), _lifeline() as lifeline:
        suite.check_address()
        stages = [
            [Child(spec, suite.logs / f"{spec.name}.log", lifeline, _report) for spec in stage]
            for stage in suite.stages()
        ]

        async def main(stop: asyncio.Event) -> None:
            await _run(suite, stages, options.demo, stop)

        run_process("paddock", options.log_level, main)


def _serving_cpus(engines: int) -> str:
    """Say which CPUs the processes answer on where the environment does not."""
    simulated = os.environ.get("PADDOCK_ENGINE") == "simulated"
    if "PADDOCK_SERVING_CPUS" in os.environ or simulated or not computes_on_cpu():
        return ""
    return format_cpus(serving_cpus(os.sched_getaffinity(0), engines))


async def _run(
    suite: Suite, stages: list[list[Child]], demo: Path | None, stop: asyncio.Event
) -> None:
    children = list(chain.from_iterable(stages))
    stopping = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_start_and_watch(suite, children, demo))
    try:
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    except StartFailed:
        for child in children:
            child.kill()  # there is nothing to drain
        raise
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await _stop(stages)


async def _start_and_watch(suite: Suite, children: list[Child], demo: Path | None) -> None:
    for child in _start_order(children):
        child.log.unlink(missing_ok=True)
        await child.start()
    await _wait_until_ready(children)
    _report(f"ready at {suite.host.url}{await _advice(suite, demo)}")
    async with asyncio.TaskGroup() as group:
        for child in children:
            group.create_task(child.keep_alive())


def _start_order(children: list[Child]) -> list[Child]:
    """Put the gateway first, so that it answers soon, and last the workers, who import vLLM."""
    workers = [child for child in children if child.spec.name.startswith("worker")]
    others = [child for child in children if child not in workers]
    return [*reversed(others), *workers]


async def _wait_until_ready(children: list[Child]) -> None:
    waiting = {asyncio.create_task(child.ready()): child for child in children}
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            while waiting:
                done, _ = await asyncio.wait(
                    waiting, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    child = next(iter(waiting.values()))
                    _report(f"{child.spec.name} is not ready yet; {_tail(child.log)}")
                for task in done:
                    child = waiting.pop(task)
                    if not task.result():
                        raise StartFailed(f"{child.spec.name} did not start; {_tail(child.log)}")
    except TimeoutError:
        child = next(iter(waiting.values()))
        raise StartFailed(
            f"{child.spec.name} was not ready within {_START_TIMEOUT:g} s; {_tail(child.log)}"
        ) from None
    finally:
        for task in waiting:
            task.cancel()


async def _advice(suite: Suite, demo: Path | None) -> str:
    """Install the demo model where it is wanted, and say what to try first."""
    url = suite.host.url
    try:
        if demo:
            await install_demo(url, demo)
        models = await chat_models(url)
    except (RuntimeError, aiohttp.ClientError) as error:
        raise StartFailed(f"installing the demo model: {error}") from None
    if not models:
        return "; it has no model yet"
    request = json.dumps({"model": models[0], "prompt": "Why is the sky blue?"})
    return f"; try: curl {url}/api/generate -d '{request}'"


async def _stop(stages: list[list[Child]]) -> None:
    """Stop those who take requests before those who serve them."""

    def kill_all() -> None:
        for child in chain.from_iterable(stages):
            child.kill()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, kill_all)
    for stage in reversed(stages):
        await asyncio.gather(*(it.stop(it.spec.drain + _EXTRA_GRACE) for it in stage))


def _report(text: str) -> None:
    with suppress(OSError):  # nobody may be left to read it; the suite goes on
        print(f"paddock: {text}", file=sys.stderr, flush=True)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"the end of its log ({log}):", *lines[-_LOG_TAIL:]])


@contextmanager
def _sole_user_of(home: Path) -> Iterator[None]:
    with (home / "serve.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartFailed(
                f"another paddock serve uses {home}; give this one another PADDOCK_HOME"
            ) from None
        yield


@contextmanager
def _lifeline() -> Iterator[int]:
    """Give the read end of a pipe that closes when this process is gone."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(read_end)
        os.close(write_end)
