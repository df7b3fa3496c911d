import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, model_pb2
from tests.gguf_files import write_gguf
from tests.workers.blobs import serve_blobs
from tests.workers.gguf.store import WritableBlobs
from tests.workers.gguf.tiny_models import DEMO
from workers.cache import FileCache
from workers.download.process import DownloadProcess
from workers.download.settings import DownloadLimits
from workers.gguf.conversions import Conversions


class Computer:
    """One machine with a cache, where workers convert."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    @asynccontextmanager
    async def _conversions(self) -> AsyncIterator[Conversions]:
        async with open_channel(self.address) as channel:
            stub = blob_pb2_grpc.BlobServiceStub(channel)
            downloader = DownloadProcess(self.address, DownloadLimits())
            conversions = Conversions(
                FileCache(self.folder, stub, downloader), stub, accelerator=False
            )
            yield conversions
            await conversions.aclose()

    def worker(self) -> AbstractAsyncContextManager[Conversions]:
        """Give a worker's conversions, as long as the worker runs."""
        return self._conversions()

    def is_clean(self) -> bool:
        """Tell whether nothing half-made is left."""
        return not [path for path in (self.folder / "partial").iterdir() if path.is_dir()]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WritableBlobs]:
    store = WritableBlobs(tmp_path / "store")  # type: ignore[abstract]
    server = await serve_blobs(store, f"unix:{tmp_path}/store.sock")
    yield store
    await server.stop(0)


@pytest.fixture
def computer(tmp_path: Path, store: WritableBlobs) -> Computer:
    return Computer(tmp_path / "cache", f"unix:{tmp_path}/store.sock")


@pytest.fixture
def other_computer(tmp_path: Path, store: WritableBlobs) -> Computer:
    return Computer(tmp_path / "other", f"unix:{tmp_path}/store.sock")


@pytest.fixture(scope="session")
def demo_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a GGUF file of 16-bit floats."""
    return write_gguf(DEMO, tmp_path_factory.mktemp("demo") / "model.gguf", "F16")


@pytest.fixture
def gguf_spec(tmp_path: Path, store: WritableBlobs, demo_gguf: Path) -> model_pb2.ModelSpec:
    folder = tmp_path / "gguf"
    folder.mkdir()
    shutil.copy(demo_gguf, folder / "model.gguf")
    return store.add_model(folder, "demo:latest", "completion")
