"""How long a router takes to choose a worker among 64: `python -m bench.routing`.

The workers are simulated ones in this process, each with the model loaded; the router's own
classes watch them over gRPC. Policies alone are measured on what the workers last reported, and
then with the bookkeeping around them: the request's prefix, what is in flight, what was learned.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.simulated_cluster import addresses, start_worker
from common.rpc import open_channel
from protos.paddock.v1 import generation_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from services.inference.affinity import prefix_of
from services.inference.fleet import Fleet
from services.inference.placement import Candidate, choose, replicas_of, wanted_by
from services.inference.routing import AffinityRouting, RoundRobin, Routing
from tests.workers.fakes import NoFiles
from workers.settings import WorkerSettings

_OTHERS = 3
"""Models that each worker holds besides."""
_TURNS = 6
_WORDS = 60
_ROUNDS = 15
_TIMES = 200

SPEC = model_pb2.ModelSpec(
    name="model:latest", digest="digest", weights="weights", capabilities=["completion"]
)
UNKNOWN = model_pb2.ModelSpec(name="other:latest", digest="other", weights="other")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=64)
    arguments = parser.parse_args()
    print(
        f"Microseconds for a decision among {arguments.workers} workers,"
        f" {_ROUNDS} rounds of {_TIMES}"
    )
    with TemporaryDirectory() as folder:
        uvloop.run(measure(Path(folder), arguments.workers))


async def measure(root: Path, count: int) -> None:
    """Start the workers, let a fleet watch them, and time its parts."""
    async with AsyncExitStack() as stack:
        held = addresses(f"unix:{root}/worker.sock", count)
        settings = WorkerSettings(simulated_load_time="0s", simulated_memory=1)  # type: ignore[arg-type]
        for address in held:
            await start_worker(stack, address, settings, NoFiles())
            await _load(address)
        fleet = Fleet(held)
        following = asyncio.create_task(fleet.follow())
        stack.push_async_callback(_end, following)
        while not _is_known(fleet, count):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await _measure(fleet)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


def _is_known(fleet: Fleet, count: int) -> bool:
    """Tell whether all workers have reported all their models."""
    candidates = fleet.candidates()
    return len(candidates) == count and all(len(it.held) == 1 + _OTHERS for it in candidates)


async def _load(address: str) -> None:
    """Load the model, and others beside it."""
    async with open_channel(address) as channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        for number in range(1 + _OTHERS):
            spec = model_pb2.ModelSpec()
            spec.CopyFrom(SPEC)
            if number:
                spec.name = spec.digest = spec.weights = f"other {number}"
            async for _ in stub.Load(worker_pb2.LoadModelRequest(spec=spec, keep_alive=-1)):
                pass


async def _measure(fleet: Fleet) -> None:
    candidates, wanted, generation = fleet.candidates(), wanted_by(SPEC), conversation()
    prefix = prefix_of(SPEC, generation)
    affinity, in_turn = AffinityRouting(), RoundRobin()

    def decide(routing: Routing) -> None:
        routing.choose(replicas_of(candidates, wanted), wanted, prefix)

    def decide_anew() -> None:
        """As after a status of each worker, from which all is made again."""
        fresh = [Candidate(it.address, it.status, it.in_flight) for it in candidates]
        affinity.choose(replicas_of(fresh, wanted), wanted, prefix)

    async def place() -> None:
        found = await fleet.place(wanted_by(SPEC), (), prefix_of(SPEC, generation))
        assert found
        fleet.served(prefix, found.address, 1.0)

    _report("policy: replicas, affinity", _timed(lambda: decide(affinity)))
    _report("policy: replicas, round robin", _timed(lambda: decide(in_turn)))
    _report("policy: affinity, all statuses new", _timed(decide_anew))
    _report("policy: where to load a model", _timed(lambda: choose(candidates, wanted_by(UNKNOWN))))
    _report("prefix of a conversation", _timed(lambda: prefix_of(SPEC, generation)))
    _report("all of it, with the bookkeeping", await _timed_async(place))


def conversation() -> generation_pb2.Generation:
    """Make a conversation of some turns."""
    chat = generation_pb2.Chat()
    for turn in range(_TURNS):
        text = " ".join(f"word{turn}{number}" for number in range(_WORDS))
        chat.messages.add(role="assistant" if turn % 2 else "user", content=text)
    return generation_pb2.Generation(chat=chat)


def _timed(decide: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_TIMES):
            decide()
        taken.append((time.perf_counter() - started) / _TIMES)
    return taken


async def _timed_async(decide: Callable[[], Awaitable[None]]) -> list[float]:
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_TIMES):
            await decide()
        taken.append((time.perf_counter() - started) / _TIMES)
    return taken


def _report(name: str, taken: list[float]) -> None:
    micro = sorted(each * 1e6 for each in taken)
    print(f"  {name:36} {statistics.median(micro):7.1f}  ({micro[0]:.1f} to {micro[-1]:.1f})")


if __name__ == "__main__":
    main()
