"""The converter's process: it ends with its worker, and says what is wrong in one line."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from common.errors import InvalidModel, LoadFailed
from tests.workers.gguf.tiny_models import DEMO
from workers.gguf.process import convert_in_process, measure_in_process

WEIGHTS = (DEMO / "model.safetensors").stat().st_size  # 16 bits each, as in the GGUF file

# Starts the converter, and is killed at once.
PARENT = """
import asyncio, os, psutil, sys
from pathlib import Path
from workers.gguf.process import convert_in_process
def begun(completed, total):
    for child in psutil.Process().children():
        child.suspend()  # or it would soon end by itself
    os.kill(os.getpid(), 9)
asyncio.run(convert_in_process(Path(sys.argv[1]), Path(sys.argv[2]), begun))
"""


def converters(folder: Path) -> list[psutil.Process]:
    processes = psutil.process_iter(["cmdline"])
    return [it for it in processes if str(folder) in (it.info["cmdline"] or ())]


def test_it_does_not_outlive_its_worker(tmp_path: Path, demo_gguf: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(demo_gguf.parent), str(tmp_path)]
    parent = subprocess.run(command, timeout=100, check=False)
    assert parent.returncode == -signal.SIGKILL
    assert psutil.wait_procs(converters(tmp_path), timeout=5)[1] == []


async def test_a_cancelled_one_is_killed(tmp_path: Path, demo_gguf: Path) -> None:
    begun = asyncio.Event()

    def hold(*_: int) -> None:
        for process in converters(tmp_path):
            process.suspend()
        begun.set()

    work = convert_in_process(demo_gguf.parent, tmp_path, hold)
    task = asyncio.create_task(work)
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert converters(tmp_path) == []


async def test_it_measures(demo_gguf: Path) -> None:
    size, native = await measure_in_process(demo_gguf.parent)
    assert size == pytest.approx(WEIGHTS, rel=0.01)
    assert not native


async def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="the model has no GGUF file"):
        await measure_in_process(tmp_path)


async def test_a_missing_shard(tmp_path: Path) -> None:
    (tmp_path / "model-00001-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(InvalidModel, match="the model has 1 of 2 GGUF shards"):
        await measure_in_process(tmp_path)


async def test_a_disk_that_cannot_be_written(tmp_path: Path, demo_gguf: Path) -> None:
    with pytest.raises(LoadFailed, match="cannot convert the model: No such file"):
        await convert_in_process(demo_gguf.parent, tmp_path / "missing", lambda *_: None)


@pytest.mark.parametrize(
    ("key", "number", "message"),
    [
        ("block_count", 2**32 - 1, "block_count cannot be 4294967295"),
        ("block_count", 2**20, "no tensors for its 1048576 layers"),
        ("attention.head_count", 0, "attention.head_count cannot be 0"),
        ("embedding_length", 0, "embedding_length cannot be 0"),
    ],
)
async def test_numbers_that_make_no_model(
    tmp_path: Path, demo_gguf: Path, key: str, number: int, message: str
) -> None:
    write_with(tmp_path / "model.gguf", demo_gguf, f"llama.{key}".encode(), number)
    with pytest.raises(InvalidModel, match=message):
        await measure_in_process(tmp_path)


def write_with(target: Path, source: Path, key: bytes, number: int) -> None:
    """Copy a GGUF file with another number."""
    content = bytearray(source.read_bytes())
    place = content.index(key) + len(key) + 4  # after the type
    content[place : place + 4] = number.to_bytes(4, "little")
    target.write_bytes(content)
