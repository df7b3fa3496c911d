"""How far a load is, as routers hear of it."""

from pathlib import Path

from protos.paddock.v1 import model_pb2, worker_pb2
from tests.workers.download.test_downloads import size
from tests.workers.fakes import FakeFactory
from tests.workers.harness import running_worker
from tests.workers.range_server import RangeServer
from workers.cache import FileCache


async def test_a_worker_tells_how_far_a_load_is(
    cache: FileCache, server: RangeServer, spec: model_pb2.ModelSpec, tmp_path: Path
) -> None:
    server.pace = 0.1
    factory = FakeFactory()
    factory.gate.clear()
    async with running_worker(tmp_path, factory, files=cache) as worker:
        loading = worker.stub.Load(worker_pb2.LoadModelRequest(spec=spec))

        found = await worker.until(lambda it: _fetched(it) > 0)
        [model] = found.models
        assert model.progress.phase == "fetching"
        assert 0 < model.progress.completed < model.progress.total == size(spec)
        assert model.load_duration > 0

        found = await worker.until(lambda it: _phase(it) == "starting")
        assert _fetched(found) == size(spec)
        factory.gate.set()
        told = [progress.completed async for progress in loading]
        assert told == sorted(told)
        assert len(told) > 2
        [model] = (await worker.until(lambda it: it.models[0].state == READY)).models
        assert not model.HasField("progress")
        assert 0 < model.load_duration < 60_000_000_000


READY = worker_pb2.WorkerModel.STATE_READY


def _phase(status: worker_pb2.WorkerStatus) -> str:
    return status.models[0].progress.phase if status.models else ""


def _fetched(status: worker_pb2.WorkerStatus) -> int:
    return status.models[0].progress.completed if status.models else 0
