"""How many streams a router carries: `python -m bench.streams`.

One router process between simulated workers and clients, which are all in this process: so it
knows when a worker made a token and when the client had it. That time is what the router adds,
together with gRPC on both of its sides and with what this process, which has the other core,
takes itself. All workers' steps are bursts: each makes a token of all its streams at once.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import uvloop

from bench.cluster import Processes
from bench.load import percentile
from bench.simulated_cluster import SERVICE, addresses
from common.errors import TimedOut
from common.rpc import is_serving, open_channel
from common.server import Server
from gateway.answer_streams import AnswerStreams
from protos.paddock.v1 import (
    generation_pb2,
    inference_pb2,
    inference_pb2_grpc,
    model_pb2,
    registry_pb2,
    registry_pb2_grpc,
    worker_pb2_grpc,
)
from tests.workers.fakes import NoFiles
from workers.engine import Limits, Plan, Prompt, Step, Take
from workers.models import Models
from workers.servicer import WorkerServicer
from workers.simulated.batch import Counts
from workers.simulated.engine import SimulatedEngine
from workers.simulated.simulation import Simulation

_WORKERS = 4
_CHANNELS = 8
_WINDOW = 4096
_FOREVER = -1
_SETTLING_SECONDS = 2.0
_SPEC = model_pb2.ModelSpec(
    name="model:latest", digest="digest", weights="weights", capabilities=["completion"]
)


@dataclass
class Stream:
    """One answer: when each of its tokens was made, and when it came; monotonic seconds."""

    asked: float = 0.0
    made: list[float] = field(default_factory=list)
    came: list[float] = field(default_factory=list)


class TimedEngine(SimulatedEngine):
    """Notes when it made the tokens of the stream whose number is the prompt."""

    streams: Sequence[Stream] = ()

    async def generate(
        self, prompt: Prompt, generation: generation_pb2.Generation, take: Take | None = None
    ) -> AsyncGenerator[Step, None]:
        """Continue a prompt; see the seam."""
        stream = self.streams[int(prompt.text)]

        def take_and_note(step: Step) -> bool:
            taken = take is not None and take(step)
            if taken:
                stream.made.append(time.monotonic())
            return taken

        async with aclosing(super().generate(prompt, generation, take and take_and_note)) as steps:
            async for step in steps:
                stream.made.append(time.monotonic())
                yield step


class TimedFactory:
    """Starts engines that note their times."""

    def __init__(self, simulation: Simulation, streams: Sequence[Stream]) -> None:
        self._simulation = simulation
        self._streams = streams

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Plan for next to nothing."""
        return Plan(memory=1)

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> TimedEngine:
        """Start one at once."""
        limits = Limits(_WINDOW, len(self._streams), accelerator=False)
        engine = TimedEngine(spec.name, limits, self._simulation, Counts())
        engine.streams = self._streams
        return engine


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows one model."""

    async def Resolve(
        self, request: registry_pb2.ResolveRequest, context: Any
    ) -> registry_pb2.ResolvedModel:
        """Give it."""
        return registry_pb2.ResolvedModel(spec=_SPEC)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument("--token-time", type=float, default=0.5, help="seconds")
    parser.add_argument("--tokens", type=int, default=40)
    arguments = parser.parse_args()
    print(f"{_WORKERS} workers, a token every {arguments.token_time * 1000:.0f} ms for each stream")
    for count in arguments.streams:
        with TemporaryDirectory() as folder:
            uvloop.run(measure(Path(folder), count, arguments.token_time, arguments.tokens))


async def measure(root: Path, count: int, token_time: float, tokens: int) -> None:
    """Run so many streams at once through a fresh router, and print what it took."""
    streams = [Stream() for _ in range(count + 1)]
    simulation = Simulation(token_time=token_time, prompt_time=0, answer_length=4 * tokens)
    processes = Processes(root)
    async with AsyncExitStack() as stack:
        stack.callback(processes.stop)
        held = addresses(f"unix:{root}/worker.sock", _WORKERS)
        for address in held:
            await _serve_worker(stack, address, TimedFactory(simulation, streams))
        registry, inference = f"unix:{root}/registry.sock", f"unix:{root}/inference.sock"
        await _serve_registry(stack, registry)
        process = await asyncio.to_thread(
            processes.start,
            "services.inference",
            *("--listen", inference, "--registry", registry, "--max-queue", str(count)),
            *("--worker-addresses", ",".join(held), "--log-level", "WARNING"),
            ready=lambda: asyncio.run(is_serving(inference)),
        )
        channels = [
            await stack.enter_async_context(open_channel(inference)) for _ in range(_CHANNELS)
        ]
        gateways = [
            AnswerStreams(inference_pb2_grpc.InferenceServiceStub(channel)) for channel in channels
        ]
        await _ask(gateways[0], streams[count], count, 3)
        await _run(psutil.Process(process.pid), gateways, streams[:count], tokens)


async def _serve_worker(stack: AsyncExitStack, address: str, factory: TimedFactory) -> None:
    models = Models(factory, NoFiles(), budget=_WORKERS, keep_alive=_FOREVER)
    stack.push_async_callback(models.aclose)
    async with models.use(_SPEC, _FOREVER):
        pass
    server = Server()
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(models), server.grpc)
    await server.start(address, SERVICE)
    stack.push_async_callback(server.stop, 0)


async def _serve_registry(stack: AsyncExitStack, address: str) -> None:
    server = Server()
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(
        Registry(),  # type: ignore[abstract]
        server.grpc,
    )
    await server.start(address, "paddock.v1.RegistryService")
    stack.push_async_callback(server.stop, 0)


async def _run(
    router: psutil.Process,
    gateways: Sequence[AnswerStreams],
    streams: Sequence[Stream],
    tokens: int,
) -> None:
    memory, idle, began = router.memory_info().rss, _busy(router), time.monotonic()
    tasks = [
        asyncio.create_task(_ask(gateways[number % _CHANNELS], stream, number, tokens))
        for number, stream in enumerate(streams)
    ]
    await _until(lambda: all(stream.came for stream in streams), tasks)
    start = (_busy(router) - idle) / len(streams)
    await asyncio.sleep(_SETTLING_SECONDS)
    all_run, busy, own = time.monotonic(), _busy(router), time.process_time()
    await _until(lambda: any(len(stream.came) >= tokens for stream in streams), tasks)
    end = time.monotonic()
    seconds, busy, own = end - all_run, _busy(router) - busy, time.process_time() - own
    grown = router.memory_info().rss - memory
    await asyncio.gather(*tasks)
    came = sum(all_run < at <= end for stream in streams for at in stream.came)
    lags = [
        arrival - made
        for stream in streams
        for made, arrival in zip(stream.made, stream.came, strict=True)
        if all_run < arrival <= end
    ]
    first = [stream.came[0] - began for stream in streams]
    usual, worst = percentile(lags, 50) * 1000, percentile(lags, 99) * 1000
    print(
        f"  {len(streams):5} streams {came / seconds:7.0f} tokens/s;"
        f"  added p50 {usual:5.0f} ms  p99 {worst:5.0f} ms;"
        f"  first token p99 {percentile(first, 99):5.2f} s;"
        f"  router: {start * 1000:.1f} ms a start, {grown / len(streams) / 1000:4.0f} kB a stream,"
        f" {busy / came * 1e6:4.0f} us a token, {busy / seconds:4.0%} of a core;"
        f"  this process {own / seconds:4.0%}"
    )


async def _until(condition: Callable[[], bool], tasks: Sequence["asyncio.Task[None]"]) -> None:
    while not condition():
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                task.result()


async def _ask(answers: AnswerStreams, stream: Stream, number: int, tokens: int) -> None:
    """Read one stream to its end."""
    generation = generation_pb2.Generation(
        completion=generation_pb2.Completion(prompt=str(number), raw=True),
        options=generation_pb2.Options(num_predict=tokens, temperature=0),
    )
    request = inference_pb2.GenerateRequest(
        model="model", generation=generation, keep_alive=_FOREVER
    )
    async for event in answers.answer(request, None, TimedOut("late")):
        if isinstance(event, generation_pb2.Delta):
            stream.came.extend([time.monotonic()] * len(event.tokens))


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
