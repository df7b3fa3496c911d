"""Adapters on a worker: which models share an engine, and how long each stays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from common.errors import InvalidModel, LoadFailed
from protos.paddock.v1 import model_pb2, worker_pb2
from tests.workers.fakes import FakeFactory, NoFiles
from tests.workers.harness import Worker, completion, model, names, running_worker
from workers.cache_entry import HeldFolder, hold

READY = worker_pb2.WorkerModel.STATE_READY


class AdapterFolders(NoFiles):
    """Files that are here; those of a bad adapter are marked, and held folders are counted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.fetched: list[str] = []
        self.held: dict[str, HeldFolder] = {}

    async def fetch(
        self,
        identity: str,
        files: Sequence[model_pb2.ModelFile],
        progress: Callable[[int], None],
        *,
        name: str,
    ) -> HeldFolder:
        self.fetched.append(identity)
        folder = self._root / identity / "model"
        folder.mkdir(parents=True, exist_ok=True)
        if "bad" in identity:
            (folder / "bad").touch()
        self.held[identity] = hold(folder.parent)
        return self.held[identity]

    @property
    def in_use(self) -> set[str]:
        return {identity for identity, folder in self.held.items() if folder.release.alive}


@pytest.fixture
def files(tmp_path: Path) -> AdapterFolders:
    return AdapterFolders(tmp_path / "files")


@pytest.fixture
async def worker(tmp_path: Path, files: AdapterFolders) -> AsyncIterator[Worker]:
    async with running_worker(tmp_path, FakeFactory(), files=files) as running:
        yield running


def tuned(name: str, adapter: str = "", rank: int = 8) -> model_pb2.ModelSpec:
    spec = model(name, "w")
    spec.adapter.digest, spec.adapter.rank = adapter or f"adapter of {name}", rank
    return spec


async def say(worker: Worker, spec: model_pb2.ModelSpec) -> str:
    answer = await worker.ask(spec, completion("-", num_predict=30))
    assert not answer.failure, answer.failure
    return answer.text


async def unload(worker: Worker, spec: model_pb2.ModelSpec) -> None:
    await worker.stub.Unload(worker_pb2.UnloadModelRequest(digest=spec.digest))


async def test_adapters_of_one_base_share_an_engine(worker: Worker) -> None:
    one, two = tuned("one"), tuned("two", rank=16)
    assert (await say(worker, one)).startswith("adapter of one-")
    assert (await say(worker, two)).startswith("adapter of two-")
    assert worker.factory.started == ["one"]
    found = await worker.until(lambda _: True)
    assert names(found) == {"one", "two"}
    assert found.memory_used == 100


async def test_the_base_runs_beside_its_adapters(worker: Worker) -> None:
    await say(worker, tuned("one"))
    assert await say(worker, model("base", "w")) == "-" * 30
    assert worker.factory.started == ["one"]


async def test_an_engine_without_places_stays_for_the_base(worker: Worker) -> None:
    await say(worker, model("base", "w"))
    await say(worker, tuned("one"))
    await say(worker, model("base", "w"))
    assert worker.factory.started == ["base", "one"]


async def test_a_larger_rank_needs_an_engine_of_its_own(worker: Worker) -> None:
    await say(worker, tuned("small", rank=8))
    await say(worker, tuned("large", rank=17))
    await say(worker, tuned("medium", rank=16))
    await say(worker, tuned("other", rank=64))
    assert worker.factory.started == ["small", "large"]


async def test_a_rank_that_no_engine_takes(worker: Worker) -> None:
    answer = await worker.ask(tuned("huge", rank=513), completion("-"))
    assert answer.failure
    assert answer.failure.reason == InvalidModel.__name__
    assert not (await worker.until(lambda _: True)).models


async def test_all_at_once(worker: Worker, files: AdapterFolders) -> None:
    specs = [model("base", "w"), *(tuned(f"m{number}", f"a{number % 2}") for number in range(6))]
    said = await asyncio.gather(*(say(worker, spec) for spec in specs))
    assert said[0] == "-" * 30
    for spec, text in zip(specs[1:], said[1:], strict=True):
        assert text.startswith(f"{spec.adapter.digest}-")
    assert sorted(files.fetched)[:2] == ["a0", "a1"]
    assert files.fetched.count("a0") == files.fetched.count("a1") == 1


async def test_each_expires_on_its_own(worker: Worker, files: AdapterFolders) -> None:
    one, two, again = tuned("one"), tuned("two"), tuned("again", "adapter of two")
    for spec in (one, two, again):
        await say(worker, spec)
    await unload(worker, one)
    assert names(await worker.until(lambda _: True)) == {"two", "again"}
    assert files.in_use == {"w", "adapter of two"}
    await unload(worker, two)
    assert files.in_use == {"w", "adapter of two"}
    assert not worker.factory.engines[0].closed
    await say(worker, one)
    assert files.in_use == {"w", "adapter of one", "adapter of two"}
    await unload(worker, one)
    await unload(worker, again)
    assert worker.factory.engines[0].closed
    assert not files.in_use


async def test_a_bad_adapter_fails_alone(worker: Worker, files: AdapterFolders) -> None:
    await say(worker, tuned("one"))
    for _ in range(2):
        answer = await worker.ask(tuned("bad"), completion("-"))
        assert answer.failure
        assert answer.failure.reason == LoadFailed.__name__
        assert "the engine refused the adapter: it is bad" in answer.failure.message
    assert names(await worker.until(lambda _: True)) == {"one"}
    assert "adapter of bad" not in files.in_use
    assert (await say(worker, tuned("one"))).startswith("adapter of one-")
    assert worker.factory.started == ["one"]


async def test_an_engine_for_a_bad_adapter_alone_goes_at_once(worker: Worker) -> None:
    answer = await worker.ask(tuned("bad"), completion("-"))
    assert answer.failure
    found = await worker.until(lambda status: not status.models)
    assert found.memory_used == 0


async def test_after_the_engine_died_it_is_all_brought_again(
    worker: Worker, files: AdapterFolders
) -> None:
    await say(worker, tuned("one"))
    worker.factory.engines[0].kill()
    await worker.until(lambda status: not status.models)
    assert not files.in_use
    assert (await say(worker, tuned("one"))).startswith("adapter of one-")
    assert len(worker.factory.engines) == 2
