"""`python -m workers` as a process, with the real engine and the demo model."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from common.options import default_options
from common.rpc import is_serving, open_channel
from protos.paddock.v1 import generation_pb2, model_pb2, worker_pb2, worker_pb2_grpc
from tests.workers.blobs import FolderBlobs, serve_blobs
from tests.workers.harness import Answer, Router

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "demo_model" / "model"

pytestmark = pytest.mark.timeout(240)


@dataclass
class Process:
    """A worker's process, its client and a model that it can load."""

    process: asyncio.subprocess.Process
    stub: worker_pb2_grpc.WorkerServiceStub
    spec: model_pb2.ModelSpec
    blobs: FolderBlobs

    def family(self) -> list[psutil.Process]:
        """Every process that this worker started, directly or not."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def cores(self) -> list[psutil.Process]:
        return [found for found in self.family() if "EngineCore" in "".join(found.cmdline())]

    async def load(self) -> None:
        async for progress in self.stub.Load(worker_pb2.LoadModelRequest(spec=self.spec)):
            phase = progress.phase
        assert phase == "ready"

    async def ask(self, question: str) -> Answer:
        router = Router(self.stub)
        router.start(1, self.spec, chat(question))
        [answer] = await router.finish()
        router.hang_up()
        return answer


@asynccontextmanager
async def worker_process(folder: Path, *more: str) -> AsyncIterator[Process]:
    blobs = FolderBlobs()  # type: ignore[abstract]
    server = await serve_blobs(blobs, f"unix:{folder}/blob.sock")
    address = f"unix:{folder}/worker.sock"
    flags = {"listen": address, "blob": f"unix:{folder}/blob.sock", "cache": f"{folder}/cache"}
    command = [part for name, value in flags.items() for part in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers", *command, "--memory-budget", "2GiB", *more), cwd=ROOT
    )
    try:
        async with asyncio.timeout(30):
            while not await is_serving(address):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        async with open_channel(address) as channel:
            stub = worker_pb2_grpc.WorkerServiceStub(channel)
            yield Process(process, stub, blobs.add_model(DEMO, "demo:latest"), blobs)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await server.stop(0)


def chat(question: str) -> generation_pb2.Generation:
    message = generation_pb2.Message(role="user", content=question)
    options = default_options()
    options.temperature = 0
    conversation = generation_pb2.Chat(messages=[message])
    return generation_pb2.Generation(chat=conversation, options=options)


def endless() -> generation_pb2.Generation:
    generation = chat("Tell me a story.")
    generation.format.json_schema = '{"type": "string", "minLength": 10000}'
    return generation


async def gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Wait until none of the processes is left."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, seconds)
    return all(found.status() == psutil.STATUS_ZOMBIE for found in alive)


@pytest.fixture
def bad_model(tmp_path: Path) -> Path:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["Nonsense"], "model_type": "llama"}')
    return folder


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers keep temporary files; its path is short, as sockets need it."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


async def test_the_life_of_a_worker(tmp_path: Path, bad_model: Path, temporary: Path) -> None:
    async with worker_process(tmp_path) as worker:
        await worker.load()
        await answers_many_at_once(worker)
        await frees_what_is_cancelled(worker)
        await recovers_from_the_death_of_its_engine(worker)
        await refuses_a_bad_model_and_goes_on(worker, bad_model)
        await drains_and_leaves_nothing(worker)
    assert not os.listdir(temporary)  # noqa: PTH208


async def answers_many_at_once(worker: Process) -> None:
    router = Router(worker.stub)
    for number in range(64):
        router.start(number, worker.spec, chat("What is the capital of France?"))
    answers = await router.finish()
    assert all("Paris" in answer.text for answer in answers)
    assert all(answer.completed for answer in answers)
    router.hang_up()


async def frees_what_is_cancelled(worker: Process) -> None:
    router = Router(worker.stub)
    for number in range(300):  # more than run at once
        router.start(number, worker.spec, endless())
    await router.read()
    for number in range(300):
        router.cancel(number)
    router.start(300, worker.spec, chat("What is the capital of France?"))
    async with asyncio.timeout(10):
        [answer] = await router.finish(300)
    assert "Paris" in answer.text
    router.hang_up()


async def recovers_from_the_death_of_its_engine(worker: Process) -> None:
    """All that it had fail at once, those as well whose turn had not come."""
    router = Router(worker.stub)
    for number in range(300):  # more than run at once
        router.start(number, worker.spec, endless())
    while sum(bool(answer.tokens) for answer in router.answers.values()) < 256:
        await router.read()
    [core] = worker.cores()
    core.kill()
    async with asyncio.timeout(5):
        answers = await router.finish()
    assert {answer.failure.reason for answer in answers if answer.failure} == {"WorkerLost"}
    assert all(answer.failure for answer in answers)
    again = await worker.ask("What is the capital of France?")
    assert "Paris" in again.text
    assert len(worker.cores()) == 1
    router.hang_up()


async def refuses_a_bad_model_and_goes_on(worker: Process, folder: Path) -> None:
    good, worker.spec = worker.spec, worker.blobs.add_model(folder, "bad:latest")
    answer = await worker.ask("Hi")
    assert answer.failure
    assert answer.failure.reason in ("InvalidModel", "LoadFailed")
    worker.spec = good
    assert (await worker.ask("What is the capital of France?")).completed


async def drains_and_leaves_nothing(worker: Process) -> None:
    family = worker.family()
    router = Router(worker.stub)
    router.start(1, worker.spec, endless())
    await router.read()
    worker.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        [answer] = await router.finish()
        assert answer.completed
        assert await worker.process.wait() == 0
    assert await gone(family, 2)


async def test_what_cannot_be_finished_goes_on_elsewhere(tmp_path: Path) -> None:
    generation = endless()
    generation.options.num_predict = 600
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    async with worker_process(folders[0], "--drain-timeout", "300ms") as worker:
        await worker.load()
        router = Router(worker.stub)
        for number in range(20):
            router.start(number, worker.spec, generation)
        while not all(answer.tokens for answer in router.answers.values()):
            await router.read()
        worker.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            answers = await router.finish()
            assert not await router.read()
            assert await worker.process.wait() == 0
    assert {answer.failure.reason for answer in answers if answer.failure} == {"Interrupted"}
    assert all(answer.failure for answer in answers)
    async with worker_process(folders[1]) as worker:
        router = Router(worker.stub)
        router.start(0, worker.spec, generation, tokens=answers[0].tokens)
        router.start(1, worker.spec, generation)
        again, whole = await router.finish()
        router.hang_up()
    assert again.text.startswith(answers[0].text)
    assert (again.text, again.tokens) == (whole.text, whole.tokens)


async def test_kill_9_leaves_no_orphan(tmp_path: Path, temporary: Path) -> None:
    async with worker_process(tmp_path) as worker:
        await worker.load()
        family = worker.family()
        assert worker.cores()
        assert len(family) >= 3  # the fork server, the resource tracker, the engine
        os.kill(worker.process.pid, signal.SIGKILL)
        assert await gone(family, 2)
        [left] = os.listdir(temporary)  # noqa: PTH208
        assert left.startswith(f"paddock-worker-{worker.process.pid}-")


async def test_kill_9_leaves_no_orphan_of_an_engine_of_several_processes(tmp_path: Path) -> None:
    async with worker_process(tmp_path, "--tensor-parallel-size", "2") as worker:
        assert "Paris" in (await worker.ask("What is the capital of France?")).text
        family = worker.family()
        assert sum("Worker_TP" in "".join(found.cmdline()) for found in family) == 2
        os.kill(worker.process.pid, signal.SIGKILL)
        assert await gone(family, 2)


async def test_kill_9_before_anything_is_imported(tmp_path: Path) -> None:
    async with worker_process(tmp_path) as worker:
        family = worker.family()
        assert family
        os.kill(worker.process.pid, signal.SIGKILL)
        assert await gone(family, 2)


async def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ("--listen", address, "--cache", str(tmp_path))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", *flags), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        _, error = await process.communicate()
    assert process.returncode == 1
    assert b"Traceback" not in error
    assert f"cannot listen on {address}".encode() in error
