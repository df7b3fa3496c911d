"""A models folder that Ollama left, or models that came from its registry."""

import json
from typing import Any

import pytest

from common.errors import InvalidModel, Unsupported
from protos.paddock.v1 import registry_pb2
from services.registry import media_types
from tests.services.registry.gguf.building import (
    CHAT_TEMPLATE,
    LLAMA,
    PROJECTOR,
    PROJECTOR_TENSORS,
    TENSORS,
    gguf,
)
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, digest_of

TEMPLATE = "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}"
CONFIG = {
    "model_format": "gguf",
    "model_family": "llama",
    "model_families": None,
    "model_type": "8.0B",
    "file_type": "Q4_0",
    "architecture": "amd64",
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": []},
}


async def put(registry: Registry, name: str, config: Any, **layers: bytes) -> None:
    """Lay a model into the folder; layers are named after the ends of their media types."""

    async def descriptor(kind: str, content: bytes) -> dict[str, Any]:
        blob = await registry.blobs.write(content)
        return {"mediaType": kind, "digest": blob.digest, "size": blob.size}

    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "config": await descriptor(media_types.CONFIG, json.dumps(config).encode()),
        "layers": [
            await descriptor(f"application/vnd.ollama.image.{kind}", content)
            for kind, content in layers.items()
        ],
    }
    put_manifest(registry, name, json.dumps(manifest).encode())


def put_manifest(registry: Registry, name: str, content: bytes) -> None:
    path = registry.folder / "manifests/registry.ollama.ai/library" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def summaries(registry: Registry) -> dict[str, registry_pb2.ModelSummary]:
    models = await registry.listed()
    return {model.name: model for model in models}


async def test_a_gguf_model(registry: Registry) -> None:
    await put(
        registry,
        "llama3/8b",
        CONFIG,
        model=gguf(),
        template=TEMPLATE.encode(),
        params=b'{"stop":["<|eot_id|>"],"num_keep":24}',
        license=b"Llama",
    )
    summary = (await summaries(registry))["llama3:8b"]
    assert summary.details.format == "gguf"
    assert summary.details.quantization_level == "Q4_0"
    assert list(summary.capabilities) == ["completion", "tools"]
    shown = await registry.show("llama3:8b")
    assert shown.template == TEMPLATE
    assert "PARAMETER stop <|eot_id|>\nPARAMETER num_keep 24\n" in shown.modelfile
    assert json.loads(shown.model_info_json)["llama.context_length"] == 2048
    assert summary.details.context_length == 2048
    resolved = await registry.resolve("llama3:8b")
    assert [(file.path, file.digest) for file in resolved.spec.files] == [
        ("model.gguf", digest_of(gguf()))
    ]
    assert resolved.template == TEMPLATE
    assert list(resolved.parameters.stop) == ["<|eot_id|>"]
    assert list(resolved.spec.capabilities) == ["completion", "tools"]
    assert resolved.spec.details.parameter_size == "8.0B"
    assert resolved.spec.details.context_length == 2048
    await registry.create_from("plain", "llama3:8b", template="{{ .Prompt }}")
    assert list((await summaries(registry))["plain:latest"].capabilities) == ["completion"]
    await registry.delete("plain")
    await registry.copy("llama3:8b", "mine")
    await registry.create_from("mario", "llama3:8b", system="You are Mario.")
    assert (await registry.show("mario")).summary.details.parent_model == "llama3:8b"
    assert set(await registry.names()) == {"llama3:8b", "mine:latest", "mario:latest"}


@pytest.mark.parametrize(
    ("config", "layers", "message"),
    [
        ({**CONFIG, "remote_host": "https://ollama.com"}, {}, "runs on another server"),
        ({"model_format": "safetensors"}, {"tensor": b"x", "json": b"{}"}, "tensor by tensor"),
        ({}, {"license": b"x"}, "has no weights"),
    ],
)
async def test_models_that_nobody_serves(
    registry: Registry, config: Any, layers: dict[str, bytes], message: str
) -> None:
    await put(registry, "x/latest", config, **layers)
    assert await registry.names() == ["x:latest"]
    with pytest.raises(Unsupported, match=message):
        await registry.resolve("x")
    await registry.delete("x")


async def test_damage_in_one_model_hides_no_other(registry: Registry) -> None:
    await registry.create("good", llama())
    put_manifest(registry, "bad/latest", b"not JSON")
    await put(registry, "empty/latest", CONFIG, model=b"GGUF")
    registry.lose((await registry.blobs.write(json.dumps(CONFIG).encode())).digest)
    found = await summaries(registry)
    assert found.keys() == {"good:latest", "empty:latest"}
    assert found["empty:latest"].size == 4
    with pytest.raises(InvalidModel, match="model 'bad:latest' is damaged"):
        await registry.show("bad")
    await registry.delete("bad")
    await registry.delete("empty")
    assert await registry.names() == ["good:latest"]


@pytest.mark.parametrize("length", [-1, 2**63])
async def test_an_impossible_length_in_one_model_hides_no_other(
    registry: Registry, length: int
) -> None:
    await registry.create("good", llama())
    await put(registry, "odd/latest", {**CONFIG, "context_length": length}, model=b"GGUF")
    found = await summaries(registry)
    assert found.keys() == {"good:latest", "odd:latest"}
    assert found["odd:latest"].details.context_length == 0
    with pytest.raises(InvalidModel, match="damaged config blob: context_length"):
        await registry.show("odd")


async def test_a_model_of_the_cloud_can_be_deleted(registry: Registry) -> None:
    await put(registry, "gpt-oss/120b-cloud", {**CONFIG, "remote_host": "https://ollama.com"})
    assert await registry.names() == ["gpt-oss:120b-cloud"]
    await registry.delete("gpt-oss:120b-cloud")
    assert await registry.names() == []


async def test_a_manifest_cannot_lead_a_worker_out_of_its_folder(registry: Registry) -> None:
    await registry.create("x", llama())
    path = registry.folder / "manifests/registry.ollama.ai/library/x/latest"
    path.write_bytes(path.read_bytes().replace(b'"tokenizer.json"', b'"../../evil.json"'))
    with pytest.raises(InvalidModel, match="file path must be relative"):
        await registry.resolve("x")


async def test_a_template_that_cannot_be_used_is_for_nothing(registry: Registry) -> None:
    await put(registry, "odd/latest", CONFIG, model=gguf(), template=b"{{ if .Tools }}{{")
    assert list((await summaries(registry))["odd:latest"].capabilities) == ["completion"]
    assert (await registry.show("odd")).template == "{{ if .Tools }}{{"


async def test_a_template_under_its_first_media_type_is_replaced(registry: Registry) -> None:
    await put(registry, "old/latest", CONFIG, model=gguf(), prompt=TEMPLATE.encode())
    assert (await registry.show("old")).template == TEMPLATE
    await registry.create_from("new", "old", template="{{ .Prompt }}")
    assert (await registry.show("new")).template == "{{ .Prompt }}"
    await registry.create_from("none", "old", template="")
    assert (await registry.show("none")).template == CHAT_TEMPLATE


@pytest.mark.parametrize(
    ("metadata", "config", "layers", "expected"),
    [
        ({"llama.pooling_type": 3}, {}, {"template": b"{{ .Prompt }}"}, ["embedding"]),
        ({"llama.pooling_type": 3}, {}, {}, ["embedding"]),
        ({}, {"model_family": "nomic-bert"}, {"template": b"{{ .Prompt }}"}, ["embedding"]),
        ({"tokenizer.chat_template": "{{ tools }}"}, {}, {}, ["completion", "tools"]),
        ({"tokenizer.chat_template": "{{ tools }}"}, {}, {"template": b"x"}, ["completion"]),
        ({"tokenizer.chat_template": "{% if"}, {}, {}, ["completion"]),
        ({}, {"capabilities": ["completion", "vision"]}, {}, ["completion"]),
        (
            {"tokenizer.chat_template": "{{ tools }}"},
            {"renderer": "qwen3-coder"},
            {"template": b"{{ .Prompt }}"},
            ["completion", "tools"],
        ),
        (
            {"tokenizer.chat_template": ""},
            {"renderer": "qwen3-coder"},
            {"template": b"{{ .Prompt }}{{ .Suffix }}"},
            ["completion", "insert"],
        ),
    ],
)
async def test_capabilities(
    registry: Registry,
    metadata: dict[str, Any],
    config: dict[str, Any],
    layers: dict[str, bytes],
    expected: list[str],
) -> None:
    model = gguf({**LLAMA, **metadata})
    await put(registry, "x/latest", {**CONFIG, **config}, model=model, **layers)
    assert list((await summaries(registry))["x:latest"].capabilities) == expected
    assert list((await registry.resolve("x")).spec.capabilities) == expected
    assert list((await registry.show("x")).summary.capabilities) == expected


async def test_the_files_own_template_stands_in_for_a_renderer(registry: Registry) -> None:
    config = {**CONFIG, "renderer": "qwen3-coder"}
    await put(registry, "x/latest", config, model=gguf(), template=b"{{ .Prompt }}")
    assert (await registry.resolve("x")).template == ""
    assert (await registry.show("x")).template == CHAT_TEMPLATE
    bare = gguf({**LLAMA, "tokenizer.chat_template": ""})
    await put(registry, "y/latest", config, model=bare, template=b"{{ .Prompt }}")
    assert (await registry.resolve("y")).template == "{{ .Prompt }}"


async def test_a_list_reads_no_vocabulary(registry: Registry) -> None:
    tokens = [f"token {number}" for number in range(20_000)]
    model = gguf({**LLAMA, "tokenizer.ggml.tokens": tokens})
    await put(registry, "x/latest", CONFIG, model=model, template=TEMPLATE.encode())
    assert (await summaries(registry))["x:latest"].details.embedding_length == 256
    assert registry.blob_service.bytes_read < 80_000 < len(model)


async def test_what_a_config_blob_does_not_say(registry: Registry) -> None:
    config = {"model_format": "gguf", "file_type": "unknown"}
    await put(registry, "x/latest", config, model=gguf(), projector=gguf(PROJECTOR, {}))
    details = (await registry.show("x")).summary.details
    assert (details.family, list(details.families)) == ("llama", ["llama"])
    assert (details.parameter_size, details.quantization_level) == ("17K", "Q4_K_M")
    assert (await registry.resolve("x")).spec.details == details


async def test_a_model_with_a_projector(registry: Registry) -> None:
    projector = gguf(PROJECTOR, PROJECTOR_TENSORS)
    await put(registry, "eyes/latest", CONFIG, model=gguf(), projector=projector)
    spec = (await registry.resolve("eyes")).spec
    assert [file.path for file in spec.files] == ["model.gguf", "mmproj.gguf"]
    assert list(spec.capabilities) == ["completion"]
    assert "clip.vision.block_count" in (await registry.show("eyes")).projector_info_json


@pytest.mark.parametrize("model", [b"GGUF....", gguf()[:-1], gguf(LLAMA, TENSORS, version=1)])
async def test_a_damaged_gguf_hides_no_other(registry: Registry, model: bytes) -> None:
    await registry.create("good", llama())
    await put(registry, "bad/latest", CONFIG, model=model)
    assert (await summaries(registry)).keys() == {"good:latest", "bad:latest"}
    for call in (registry.show, registry.resolve):
        with pytest.raises(InvalidModel, match="model 'bad:latest' is damaged"):
            await call("bad")
