"""Files of this machine on their way into the store."""

import asyncio
import os
from pathlib import Path

import pytest

from common.errors import InvalidRequest
from protos.paddock.v1 import registry_pb2
from services.registry.local_import import LocalImport
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, digest_of

LARGE = 400_000_000


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for path, content in llama().items():
        (tmp_path / path).write_bytes(content)
    return {path: tmp_path / path for path in sorted(llama())}


def uploads(registry: Registry) -> list[Path]:
    folder = registry.folder / "uploads"
    return [path for path in folder.rglob("[!.]*") if path.is_file()]


async def run(local: LocalImport) -> list[registry_pb2.Progress]:
    return [progress async for progress in local.run()]


async def test_files_become_blobs(registry: Registry, files: dict[str, Path]) -> None:
    local = LocalImport(registry.blobs, files)
    steps = await run(local)
    assert local.digests == {path: digest_of(content) for path, content in llama().items()}
    assert registry.stored_blobs() == set(local.digests.values())
    assert [step.status for step in steps] == [f"importing {path}" for path in files for _ in "ab"]


async def test_an_import_that_is_broken_off_leaves_nothing(
    registry: Registry, files: dict[str, Path]
) -> None:
    os.truncate(files["model.safetensors"], LARGE)
    steps = LocalImport(registry.blobs, files).run()
    async for progress in steps:
        if progress.total == LARGE and progress.completed:
            break
    assert uploads(registry)
    await steps.aclose()
    async with asyncio.timeout(10):
        while uploads(registry):
            await asyncio.sleep(0.01)
    assert LARGE not in {path.stat().st_size for path in (registry.folder / "blobs").iterdir()}


async def test_a_file_that_grows_while_it_is_read(
    registry: Registry, files: dict[str, Path]
) -> None:
    with files["model.safetensors"].open("ab") as file:
        async for progress in (steps := LocalImport(registry.blobs, files).run()):
            if progress.status == "importing model.safetensors":
                file.write(b"more")
                file.flush()
                break
        with pytest.raises(InvalidRequest, match="longer than the declared"):
            async for _ in steps:
                pass
    assert not uploads(registry)


async def test_a_file_that_is_gone(registry: Registry, files: dict[str, Path]) -> None:
    files["model.safetensors"].unlink()
    with pytest.raises(InvalidRequest, match=r"cannot read .*: No such file or directory"):
        await run(LocalImport(registry.blobs, files))
