"""What a worker adds to vLLM: `python -m bench.worker`.

The same answers, so many at once, from vLLM's `AsyncLLM` with a task for each of them, and from
a worker over one Run stream, whose router is this process. Told apart is the time of the
process that serves and of the engine's own: CPU time for each token, which other load hardly
changes, beside the tokens a second.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from tempfile import TemporaryDirectory

import psutil
import uvloop

from bench.token_cost import Counted, Figures, Load, demo_spec, prompt, watch
from common.process import LIFELINE_VARIABLE
from common.rpc import is_serving, open_channel
from protos.paddock.v1 import generation_pb2, worker_pb2, worker_pb2_grpc

_FOREVER = -1
_START_SECONDS = 180.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--temperature", type=float, default=0)
    parser.add_argument("--ways", nargs="+", choices=_WAYS, default=list(_WAYS))
    arguments = parser.parse_args()
    print(f"The demo model, {arguments.tokens} tokens an answer, {arguments.rounds} rounds")
    for streams in arguments.streams:
        load = Load(streams, arguments.tokens, arguments.seconds, arguments.temperature)
        taken: dict[str, list[Figures]] = {way: [] for way in arguments.ways}
        for _ in range(arguments.rounds):
            for way in arguments.ways:
                taken[way].append(_WAYS[way](load))
        for way, figures in taken.items():
            _print(way, streams, figures)


def _print(way: str, streams: int, figures: list[Figures]) -> None:
    rates = [each.rate for each in figures]

    def median(name: str) -> float:
        return statistics.median(float(getattr(each, name)) for each in figures)

    print(
        f"  {way:6} {streams:4} streams {median('rate'):7.0f} tokens/s"
        f" ({min(rates):.0f} to {max(rates):.0f});"
        f"  front {median('front'):6.1f} us a token, core {median('core'):6.1f};"
        f"  {median('message'):5.1f} tokens a message, {median('length'):4.1f} an answer;"
        f"  first token p50 {median('first'):5.1f} ms",
        flush=True,
    )


def measure_worker(load: Load) -> Figures:
    """Measure a fresh worker."""
    with TemporaryDirectory() as folder:
        address = f"unix:{folder}/worker.sock"
        with _process("bench.worker_alone", address) as process:
            return uvloop.run(_ask_worker(address, load, psutil.Process(process.pid)))


async def _ask_worker(address: str, load: Load, process: psutil.Process) -> Figures:
    async with asyncio.timeout(_START_SECONDS):
        while not await is_serving(address):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    async with open_channel(address) as channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        counted = Counted()
        reading = asyncio.create_task(_Asker(stub, load, counted).read())
        try:
            return await watch(load, counted, process)
        finally:
            reading.cancel()


class _Asker:
    """The router's end of a Run stream on which a new answer follows each that ends."""

    def __init__(
        self, stub: worker_pb2_grpc.WorkerServiceStub, load: Load, counted: Counted
    ) -> None:
        self._commands: asyncio.Queue[worker_pb2.RunCommands] = asyncio.Queue()
        self._call = stub.Run(self._requests())
        self._load = load
        self._counted = counted
        self._asked: dict[int, float] = {}
        self._number = 0

    async def _requests(self) -> AsyncIterator[worker_pb2.RunCommands]:
        while True:
            yield await self._commands.get()

    def _ask(self) -> None:
        self._number += 1
        start = worker_pb2.StartSequence(
            sequence=self._number,
            spec=demo_spec(),
            generation=generation_pb2.Generation(
                completion=generation_pb2.Completion(prompt=prompt(self._number), raw=True),
                options=generation_pb2.Options(
                    num_predict=self._load.tokens, temperature=self._load.temperature
                ),
            ),
            keep_alive=_FOREVER,
        )
        self._asked[self._number] = time.monotonic()
        self._commands.put_nowait(worker_pb2.RunCommands(starts=[start]))

    async def read(self) -> None:
        """Read for ever."""
        for _ in range(self._load.streams):
            self._ask()
        counted = self._counted
        async for response in self._call:
            counted.messages += 1
            counted.tokens += len(response.tokens)
            for update in response.updates:
                counted.tokens += len(update.delta.tokens)
                if (asked := self._asked.pop(update.sequence, None)) is not None:
                    counted.waits.append(time.monotonic() - asked)
                if update.HasField("completed"):
                    counted.answers += 1
                    self._ask()
                elif update.HasField("failure"):
                    raise RuntimeError(update.failure.message)


def measure_bare(load: Load) -> Figures:
    """Measure vLLM alone in a fresh process."""
    with _process("bench.engine_alone", json.dumps(asdict(load))) as process:
        assert process.stdout
        return Figures(**json.loads(process.stdout.read().splitlines()[-1]))


@contextmanager
def _process(*flags: str) -> Iterator[subprocess.Popen[bytes]]:
    lifeline, held_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", *flags],
        env=os.environ | {LIFELINE_VARIABLE: str(lifeline), "VLLM_LOGGING_LEVEL": "ERROR"},
        pass_fds=(lifeline,),
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        os.close(lifeline)
        os.close(held_end)


_WAYS = {"bare": measure_bare, "worker": measure_worker}

if __name__ == "__main__":
    main()
