"""Conversions: made once, found by others, and nothing of a failed one left."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from common.errors import InvalidModel, StoreFull
from protos.paddock.v1 import model_pb2
from tests.gguf_files import write_gguf
from tests.workers.gguf.conftest import Computer
from tests.workers.gguf.store import WritableBlobs
from tests.workers.gguf.tiny_models import DEMO
from tests.workers.gguf.watching import Watching
from workers.gguf.derived import conversion_name

LOADED = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}


async def shared(store: WritableBlobs) -> None:
    """Wait until a conversion is in the store."""
    async with asyncio.timeout(20):
        while not store.manifests:
            await asyncio.sleep(0.02)


async def test_a_model_is_converted_once_and_shared_through_the_store(
    computer: Computer,
    other_computer: Computer,
    store: WritableBlobs,
    gguf_spec: model_pb2.ModelSpec,
) -> None:
    first, again, second = Watching(), Watching(), Watching()
    async with computer.worker() as conversions:
        made = await conversions.fetch(gguf_spec, first)
        await shared(store)
        kept = await conversions.fetch(gguf_spec, again)
    async with other_computer.worker() as conversions:
        found = await conversions.fetch(gguf_spec, second)

    assert {path.name for path in made.path.iterdir()} >= LOADED
    assert first.arrived == first.wanted[0] == gguf_spec.files[0].size
    completed, total = first.converted[-1]
    assert completed == total > 0
    assert kept.path == made.path
    assert again.wanted == []  # nothing had to come
    assert second.converted == []
    assert second.arrived == second.wanted[0]
    assert files(found.path) == files(made.path)


async def test_a_conversion_that_lost_a_file_is_made_anew(
    computer: Computer,
    other_computer: Computer,
    store: WritableBlobs,
    gguf_spec: model_pb2.ModelSpec,
) -> None:
    async with computer.worker() as conversions:
        await conversions.fetch(gguf_spec, Watching())
        await shared(store)
    store.lose("tokenizer.json")

    watching = Watching()
    async with other_computer.worker() as conversions:
        held = await conversions.fetch(gguf_spec, watching)
    assert watching.converted
    assert {path.name for path in held.path.iterdir()} >= LOADED


@pytest.mark.parametrize("content", [b"", b'{"layers": [{"name": 3}]}'])
async def test_a_damaged_manifest_is_ignored(
    content: bytes, computer: Computer, store: WritableBlobs, gguf_spec: model_pb2.ModelSpec
) -> None:
    name = conversion_name(gguf_spec.files).path
    store.manifests[name] = content
    watching = Watching()
    async with computer.worker() as conversions:
        await conversions.fetch(gguf_spec, watching)
        async with asyncio.timeout(20):
            while store.manifests[name] == content:
                await asyncio.sleep(0.02)
    assert watching.converted


async def test_a_store_that_takes_nothing_does_not_matter(
    computer: Computer,
    store: WritableBlobs,
    gguf_spec: model_pb2.ModelSpec,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.refusal = StoreFull("no space is left")
    async with computer.worker() as conversions:
        held = await conversions.fetch(gguf_spec, Watching())
        assert {path.name for path in held.path.iterdir()} >= LOADED
        async with asyncio.timeout(20):
            while "no space is left" not in caplog.text:
                await asyncio.sleep(0.02)
    assert not store.manifests


async def test_a_conversion_that_was_not_shared_is_shared_by_who_finds_it(
    computer: Computer, store: WritableBlobs, gguf_spec: model_pb2.ModelSpec
) -> None:
    store.refusal = StoreFull("as if the worker had died")
    async with computer.worker() as conversions:
        made = await conversions.fetch(gguf_spec, Watching())
    assert not store.manifests
    store.refusal = None
    watching = Watching()
    async with computer.worker() as conversions:
        found = await conversions.fetch(gguf_spec, watching)
        await shared(store)
        assert not watching.converted
        assert found.path == made.path
        store.manifests.clear()
        await conversions.fetch(gguf_spec, Watching())
        await asyncio.sleep(0.1)
    assert not store.manifests  # it is known to have been stored


async def test_two_workers_at_once_make_the_same(
    computer: Computer, other_computer: Computer, gguf_spec: model_pb2.ModelSpec
) -> None:
    async with computer.worker() as one, other_computer.worker() as other:
        first, second = await asyncio.gather(
            one.fetch(gguf_spec, Watching()), other.fetch(gguf_spec, Watching())
        )
    assert files(first.path) == files(second.path)


async def test_shards_are_one_model(
    tmp_path: Path, computer: Computer, store: WritableBlobs, gguf_spec: model_pb2.ModelSpec
) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    write_gguf(DEMO, folder / "model.gguf", "F16", shard_bytes=3_000_000)
    spec = store.add_model(folder, "shards:latest", "completion")
    assert len(spec.files) > 1

    async with computer.worker() as conversions:
        whole = await conversions.fetch(gguf_spec, Watching())
        await shared(store)
        store.manifests.clear()
        parts = await conversions.fetch(spec, Watching())
        await shared(store)
    [name] = store.manifests
    assert spec.files[0].digest.removeprefix("sha256:") in name
    assert files(parts.path).keys() == files(whole.path).keys()
    one, other = (load_file(held.path / "model.safetensors") for held in (parts, whole))
    assert all((one[name] == other[name]).all() for name in one | other)


async def test_a_cancelled_conversion_leaves_nothing(
    computer: Computer, gguf_spec: model_pb2.ModelSpec
) -> None:
    watching = Watching()
    async with computer.worker() as conversions:
        task = asyncio.create_task(conversions.fetch(gguf_spec, watching))
        await watching.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert computer.is_clean()
        held = await conversions.fetch(gguf_spec, Watching())
    assert {path.name for path in held.path.iterdir()} >= LOADED


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda content: content[: len(content) // 2], "lies beyond its end"),
        (lambda content: content[:100], "ends too early"),
        (lambda content: b"JUNK" + content[4:], "does not begin as one"),
        (lambda content: content.replace(b"llama", b"lhama"), "'lhama' are not supported; supp"),
        (lambda content: content[:8] + b"\xff" * 8 + content[16:], "not a whole GGUF file"),
    ],
)
async def test_a_damaged_file_gives_a_clear_error_and_leaves_nothing(
    damage: Callable[[bytes], bytes],
    text: str,
    tmp_path: Path,
    computer: Computer,
    store: WritableBlobs,
    demo_gguf: Path,
) -> None:
    spec = store.add_model(changed(demo_gguf, tmp_path / "damaged", damage), "damaged:latest")
    async with computer.worker() as conversions:
        with pytest.raises(InvalidModel, match=text):
            await conversions.fetch(spec, Watching())
    assert computer.is_clean()
    assert not store.manifests


def changed(file: Path, folder: Path, change: Callable[[bytes], bytes]) -> Path:
    folder.mkdir()
    (folder / file.name).write_bytes(change(file.read_bytes()))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_the_manifest_is_one_of_a_safetensors_model(
    computer: Computer, store: WritableBlobs, gguf_spec: model_pb2.ModelSpec
) -> None:
    async with computer.worker() as conversions:
        held = await conversions.fetch(gguf_spec, Watching())
        await shared(store)
    [(name, content)] = store.manifests.items()
    digest = gguf_spec.files[0].digest.removeprefix("sha256:")
    assert name == f"derived.paddock.internal/sha256/{digest}/gguf-1"
    layers = {layer["name"]: layer for layer in json.loads(content)["layers"]}
    assert layers.keys() == files(held.path).keys()
    assert layers["model.safetensors"]["mediaType"] == "application/vnd.cncf.model.weight.v1.raw"
    assert layers["config.json"]["mediaType"] == "application/vnd.ollama.image.json"
