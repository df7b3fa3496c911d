"""The real engine on models of several families: they say what the same weights say."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from protos.paddock.v1 import model_pb2
from tests.gguf_files import write_gguf
from tests.workers.gguf.test_served_text import answers, engine_of
from tests.workers.gguf.tiny_models import CONFIGS, TOKENS, logits, write_model
from workers.gguf.folder import convert

FAMILIES = ("gemma", "olmo2", "command-r", "starcoder2")


def half_precision(name: str, folder: Path) -> Path:
    """Write a tiny model of a family in 16-bit floats."""
    write_model(CONFIGS[name], folder)
    weights = load_file(folder / "model.safetensors")
    halves = {key: tensor.to(torch.float16) for key, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", {"format": "pt"})
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"float32"', '"float16"'))
    return folder


def converted(original: Path, folder: Path) -> Path:
    """Write a model as GGUF, and convert that."""
    source, target = folder / "gguf", folder / "converted"
    source.mkdir()
    target.mkdir()
    write_gguf(original, source / "model.gguf", "F16")
    convert(source, target, lambda *_: None)
    return target


def spec_of(folder: Path, *capabilities: str) -> model_pb2.ModelSpec:
    files = [model_pb2.ModelFile(path=it.name, size=it.stat().st_size) for it in folder.iterdir()]
    return model_pb2.ModelSpec(name=folder.name, files=files, capabilities=capabilities)


@pytest.mark.timeout(300)  # two engines
@pytest.mark.parametrize("name", FAMILIES)
async def test_greedy_text_is_that_of_the_same_weights_in_safetensors(
    name: str, tmp_path: Path, failures: Path
) -> None:
    original = half_precision(name, tmp_path / "original")
    said = []
    for folder in (original, converted(original, tmp_path)):
        async with engine_of(failures, spec_of(folder, "completion"), folder) as engine:
            said.append(await answers(engine))
    assert said[0] == said[1]
    assert any(said[0])


@pytest.mark.timeout(300)
async def test_vectors_are_those_of_the_same_weights(tmp_path: Path, failures: Path) -> None:
    original = write_model(CONFIGS["nomic-bert"], tmp_path / "original")
    expected = torch.nn.functional.normalize(logits(original).mean(dim=1), dim=1)
    folder = converted(original, tmp_path)
    async with engine_of(failures, spec_of(folder, "embedding"), folder) as engine:
        [vector] = await engine.embed([TOKENS[0].tolist()])
    found = torch.nn.functional.normalize(torch.tensor([vector]), dim=1)
    assert torch.nn.functional.cosine_similarity(found, expected).item() > 0.999
