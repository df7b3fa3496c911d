"""An adapter's files on this worker's disk, in the form that vLLM reads."""

import asyncio
import hashlib
from pathlib import Path

from protos.paddock.v1 import model_pb2
from workers.cache_entry import HeldFolder
from workers.files import Files

GGUF_FILE = "adapter.gguf"

_MAKER = "lora-1"


async def fetch_adapter(files: Files, spec: model_pb2.ModelSpec, base: Path) -> HeldFolder:
    """Give the folder with a model's adapter as PEFT has it; it stays until it is released.

    Args:
        files: where they come from.
        spec: a model with an adapter.
        base: the folder of the base model, as vLLM loads it.

    Raises:
        InvalidModel: the adapter is damaged, or of a kind that is not supported.
        PaddockError: it could not be brought here.
    """
    adapter = spec.adapter
    fetched = await files.fetch(adapter.digest, adapter.files, lambda _: None, name=spec.name)
    source = fetched.path / GGUF_FILE
    if not await asyncio.to_thread(source.exists):
        return fetched
    try:
        return await files.add(
            _converted_identity(spec),
            lambda target: asyncio.to_thread(_convert, source, base, target),
            name=spec.name,
            size=await asyncio.to_thread(_converted_size, source),
            sources=[file.digest for file in adapter.files],
        )
    finally:
        fetched.release()


def _convert(source: Path, base: Path, target: Path) -> None:
    from workers.lora.conversion import convert_adapter  # slow, and seldom needed

    convert_adapter(source, base, target)


def _converted_size(source: Path) -> int:
    from workers.lora.conversion import converted_size  # as above

    return converted_size(source)


def _converted_identity(spec: model_pb2.ModelSpec) -> str:
    """Identify what becomes of an adapter: the order of its rows depends on the base model."""
    made_of = f"{_MAKER} {spec.adapter.digest} {spec.weights}"
    return hashlib.sha256(made_of.encode()).hexdigest()
