"""Models whose weights are not what their manifests say."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import RegistryFailed
from services.registry.remote.client import RemoteSettings
from tests.servers.fake_hub import CONFIG_TYPE, MANIFEST_TYPE, MODEL_TYPE, FakeHub
from tests.services.registry.gguf.building import LLAMA, PROJECTOR, PROJECTOR_TENSORS, Place, gguf
from tests.services.registry.model_folders import as_json, config, safetensors
from tests.services.registry.remote.pulling import pull
from tests.services.registry.running import Registry, running_registry

PROJECTOR_TYPE = "application/vnd.ollama.image.projector"
ADAPTER_TYPE = "application/vnd.ollama.image.adapter"
WEIGHTS_TYPE = "application/vnd.cncf.model.weight.v1.raw"
JSON_TYPE = "application/vnd.ollama.image.json"

WEIGHTS = safetensors({"model.embed_tokens.weight": ("BF16", [256, 64])})


@pytest.fixture
async def registry(tmp_path: Path, settings: RemoteSettings) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "models", remote=settings) as running:
        yield running


def add(hub: FakeHub, *layers: tuple[str, str, bytes]) -> None:
    """Put a model of layers into the hub, given as media type, name and content."""
    described: list[dict[str, Any]] = [
        hub.descriptor(content, kind) | ({"name": name} if name else {})
        for kind, name, content in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": hub.descriptor(b'{"model_format":"gguf"}', CONFIG_TYPE),
        "layers": described,
    }
    hub.manifests["library/x:latest"] = json.dumps(manifest).encode()


def folder(**files: bytes) -> list[tuple[str, str, bytes]]:
    """A model of files; in their names `__` stands for the dot."""
    names = {name.replace("__", "."): content for name, content in files.items()}
    return [
        (WEIGHTS_TYPE if name.endswith(".safetensors") else JSON_TYPE, name, content)
        for name, content in names.items()
    ]


INDEX = {"weight_map": {"model.embed_tokens.weight": "gone.safetensors"}}

BAD = {
    "text": ([(MODEL_TYPE, "", b"hello, I am no model")], "not in GGUF format"),
    "nothing": ([(MODEL_TYPE, "", b"")], "layer sha256:e3b0c4"),
    "half": ([(MODEL_TYPE, "", gguf()[:-5000])], "truncated: "),
    "version": ([(MODEL_TYPE, "", gguf(version=0xFFFF))], "version 65535"),
    "no tensors": ([(MODEL_TYPE, "", gguf(tensors={}))], "the model holds no tensors"),
    "nameless": ([(MODEL_TYPE, "", gguf({"a": 1}))], '"general.architecture"'),
    "projector": ([(MODEL_TYPE, "", gguf()), (PROJECTOR_TYPE, "", b"x" * 99)], "not in GGUF"),
    "adapter": ([(MODEL_TYPE, "", gguf()), (ADAPTER_TYPE, "", b"x" * 99)], "not in GGUF"),
    "safetensors": (
        folder(config__json=config(), model__safetensors=b"\xff" * 99),
        "model.safetensors: not a safetensors file",
    ),
    "half safetensors": (
        folder(config__json=config(), model__safetensors=WEIGHTS[:-10]),
        "model.safetensors: truncated",
    ),
    "empty safetensors": (
        folder(config__json=config(), model__safetensors=safetensors({})),
        "the safetensors files hold no tensors",
    ),
    "shard": (
        folder(**{"model-00001-of-00002__safetensors": WEIGHTS}),
        "model-00002-of-00002.safetensors is missing",
    ),
    "index": (
        folder(model__safetensors=WEIGHTS, model__safetensors__index__json=as_json(INDEX)),
        "it names gone.safetensors, which is missing",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_weights_that_are_none_are_refused(
    hub: FakeHub, registry: Registry, name: str
) -> None:
    layers, text = BAD[name]
    add(hub, *layers)
    with pytest.raises(RegistryFailed) as caught:
        await pull(registry, "x")
    assert text in caught.value.message
    assert await registry.names() == []


ODD = {
    "architecture": [(MODEL_TYPE, "", gguf({"general.architecture": "nobody-knows"}))],
    "no tokenizer": [(MODEL_TYPE, "", gguf({"general.architecture": "llama"}))],
    "old version": [(MODEL_TYPE, "", gguf(version=1))],
    "big endian": [(MODEL_TYPE, "", gguf(magic=b"FUGG"))],
    "new type": [(MODEL_TYPE, "", gguf(LLAMA, {"a": Place(99, (4,), 0)}))],
    "forerunner": [(MODEL_TYPE, "", b"tjgg" + bytes(100))],
    "projector": [
        (MODEL_TYPE, "", gguf()),
        (PROJECTOR_TYPE, "", gguf(PROJECTOR, PROJECTOR_TENSORS)),
    ],
    "other files": [(WEIGHTS_TYPE, "weights.bin", b"whatever"), (JSON_TYPE, "config.json", b"{}")],
    "no config": folder(**{"unet/model__safetensors": WEIGHTS}),
}


@pytest.mark.parametrize("name", ODD)
async def test_what_cannot_be_served_may_be_kept(
    hub: FakeHub, registry: Registry, name: str
) -> None:
    add(hub, *ODD[name])
    assert (await pull(registry, "x"))[-1].status == "success"
    assert await registry.names() == ["x:latest"]
