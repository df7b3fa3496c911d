"""Models made from GGUF files."""

import json
from typing import Any

import pytest

from common.errors import InvalidModel
from tests.services.registry.gguf.building import (
    CHAT_TEMPLATE,
    LLAMA,
    PROJECTOR,
    PROJECTOR_TENSORS,
    TENSORS,
    gguf,
    shards,
)
from tests.services.registry.model_folders import llama
from tests.services.registry.running import Registry, digest_of

MODEL = gguf()
MMPROJ = gguf(PROJECTOR, PROJECTOR_TENSORS)


async def capabilities(registry: Registry, name: str) -> list[str]:
    resolved = list((await registry.resolve(name)).spec.capabilities)
    assert list((await registry.show(name)).summary.capabilities) == resolved
    return resolved


def manifest_of(registry: Registry, name: str) -> Any:
    folder = registry.folder / "manifests/registry.ollama.ai/library"
    return json.loads((folder / name / "latest").read_bytes())


@pytest.mark.parametrize("path", ["tiny.gguf", "model", "x.bin", "notice.GGUF"])
async def test_a_model_under_any_name(registry: Registry, path: str) -> None:
    lines = await registry.create("tiny", {path: MODEL})
    config = manifest_of(registry, "tiny")["config"]["digest"]
    assert lines == [
        "parsing GGUF",
        "using autodetected template tokenizer.chat_template",
        f"using existing layer {digest_of(MODEL)}",
        f"creating new layer {config}",
        "writing manifest",
        "success",
    ]
    resolved = await registry.resolve("tiny")
    assert [(it.path, it.digest, it.size) for it in resolved.spec.files] == [
        ("model.gguf", digest_of(MODEL), len(MODEL))
    ]
    assert list(resolved.spec.capabilities) == ["completion"]
    assert resolved.template == ""
    details = resolved.spec.details
    assert (details.format, details.family, list(details.families)) == ("gguf", "llama", ["llama"])
    assert (details.parameter_size, details.quantization_level) == ("17K", "Q4_K_M")
    assert (details.context_length, details.embedding_length) == (2048, 256)


async def test_its_manifest_is_one_that_ollama_reads(registry: Registry) -> None:
    await registry.create("tiny", {"tiny.gguf": MODEL})
    manifest = manifest_of(registry, "tiny")
    assert manifest["layers"] == [
        {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": digest_of(MODEL),
            "size": len(MODEL),
        }
    ]
    assert json.loads(await registry.blobs.read(manifest["config"]["digest"])) == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "17K",
        "file_type": "Q4_K_M",
        "capabilities": ["completion"],
        "context_length": 2048,
        "embedding_length": 256,
        "architecture": "amd64",
        "os": "linux",
    }


async def test_the_shards_of_a_model(registry: Registry) -> None:
    files = shards(3)
    upside_down = dict(zip("cba", files.values(), strict=True))
    await registry.create("tiny", upside_down)
    spec = (await registry.resolve("tiny")).spec
    assert [(file.path, file.digest) for file in spec.files] == [
        (f"model-0000{number}-of-00003.gguf", digest_of(content))
        for number, content in enumerate(files.values(), 1)
    ]
    assert spec.details.parameter_size == "17K"
    shown = await registry.show("tiny")
    assert sorted(tensor.name for tensor in shown.tensors) == sorted(TENSORS)
    assert json.loads(shown.model_info_json)["general.parameter_count"] == 16672


async def test_a_projector_is_kept_and_shown(registry: Registry) -> None:
    lines = await registry.create("eyes", {"a-mmproj.gguf": MMPROJ, "b.gguf": MODEL})
    assert lines[:2] == ["parsing GGUF", "parsing GGUF"]
    assert "keeping the projector, which is not used to serve the model" in lines
    spec = (await registry.resolve("eyes")).spec
    assert [(file.path, file.digest) for file in spec.files] == [
        ("model.gguf", digest_of(MODEL)),
        ("mmproj.gguf", digest_of(MMPROJ)),
    ]
    assert await capabilities(registry, "eyes") == ["completion"]
    kinds = [layer["mediaType"] for layer in manifest_of(registry, "eyes")["layers"]]
    assert kinds == [
        "application/vnd.ollama.image.model",
        "application/vnd.ollama.image.projector",
    ]
    info = json.loads((await registry.show("eyes")).projector_info_json)
    assert info["clip.vision.block_count"] == 2
    assert info["clip.vision.image_mean"] is None
    assert info["general.parameter_count"] == 64
    await registry.create("plain", {"b.gguf": MODEL})
    assert (await registry.show("plain")).projector_info_json == ""


@pytest.mark.parametrize(
    "metadata",
    [
        PROJECTOR,
        {"general.architecture": "clip", "clip.has_vision_encoder": True},
        {"general.architecture": "gemma3", "gemma3.vision.block_count": 4},
        {"general.architecture": "clip", "general.type": "projector"},
    ],
)
async def test_what_is_a_projector(registry: Registry, metadata: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel, match=r"x\.gguf: a projector is no model on its own"):
        await registry.create("x", {"x.gguf": gguf(metadata, PROJECTOR_TENSORS)})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tokenizer.chat_template": ""}, ["completion"]),
        ({"tokenizer.chat_template": "{% if tools %}x{% endif %}"}, ["completion", "tools"]),
        ({"tokenizer.chat_template": "{{ '<think>' }}"}, ["completion", "thinking"]),
        (
            {"tokenizer.ggml.tokens": ["<|fim_prefix|>", "<|fim_suffix|>"]},
            ["completion", "insert"],
        ),
        ({"llama.pooling_type": 1}, ["embedding"]),
        ({"general.architecture": "nomic-bert"}, ["embedding"]),
        ({"general.architecture": "gptoss"}, ["completion", "thinking"]),
        ({"llama.vision.block_count": 3}, ["completion"]),
    ],
)
async def test_capabilities(
    registry: Registry, changes: dict[str, Any], expected: list[str]
) -> None:
    await registry.create("x", {"x.gguf": gguf({**LLAMA, **changes})})
    assert await capabilities(registry, "x") == expected


@pytest.mark.parametrize(
    ("file_type", "level"),
    [(0, "F32"), (1, "F16"), (7, "Q8_0"), (14, "Q4_K_S"), (19, "IQ2_XXS"), (32, "BF16"),
     (38, "MXFP4_MOE"), (1024, "F16"), (999, "F16"), ("Q8_0", "F16")],
)  # fmt: skip
async def test_types_of_the_weights(registry: Registry, file_type: int | str, level: str) -> None:
    await registry.create("x", {"x.gguf": gguf({**LLAMA, "general.file_type": file_type})})
    assert (await registry.resolve("x")).spec.details.quantization_level == level


async def test_a_go_template_decides_in_place_of_the_files_own(registry: Registry) -> None:
    own = {**LLAMA, "tokenizer.chat_template": "{% if tools %}x{% endif %}<think>"}
    await registry.create("own", {"x.gguf": gguf(own)})
    assert await capabilities(registry, "own") == ["completion", "tools", "thinking"]
    assert (await registry.show("own")).template == own["tokenizer.chat_template"]
    await registry.create_from("go", "own", template="{{ .Prompt }}{{ .Suffix }}")
    assert await capabilities(registry, "go") == ["completion", "insert"]
    assert (await registry.resolve("go")).template == "{{ .Prompt }}{{ .Suffix }}"
    assert (await registry.show("go")).template == "{{ .Prompt }}{{ .Suffix }}"
    await registry.create_from("again", "go", template="")
    assert await capabilities(registry, "again") == ["completion", "tools", "thinking"]
    assert (await registry.resolve("again")).template == ""


async def test_another_model_of_it(registry: Registry) -> None:
    await registry.create("base", {"a.gguf": MODEL, "b.gguf": MMPROJ})
    base = await registry.resolve("base")
    lines = await registry.create_from("heir", "base", system="Be brief.")
    assert lines[0] == "reading model metadata"
    heir = await registry.resolve("heir")
    assert heir.spec.weights == base.spec.weights
    assert heir.spec.files == base.spec.files
    assert heir.spec.details.parent_model == "base:latest"
    assert heir.system == "Be brief."
    await registry.delete("base")
    assert (await registry.show("heir")).template == CHAT_TEMPLATE


async def test_what_lies_beside_it_is_left_out(registry: Registry) -> None:
    extra = {"README.md": b"# Tiny", "config.json": b"{}", "x.imatrix": b"data"}
    lines = await registry.create("x", {"x.gguf": MODEL, **extra})
    assert {f"leaving out {path}, which is not used to serve the model" for path in extra} < set(
        lines
    )
    assert len(manifest_of(registry, "x")["layers"]) == 1


async def test_safetensors_come_first(registry: Registry) -> None:
    lines = await registry.create("x", {**llama(), "x.gguf": MODEL})
    assert "leaving out x.gguf, which is not used to serve the model" in lines
    assert (await registry.resolve("x")).spec.details.format == "safetensors"


async def test_one_file_under_two_names_is_one(registry: Registry) -> None:
    await registry.create("x", {"a.gguf": MODEL, "b.gguf": MODEL})
    assert len((await registry.resolve("x")).spec.files) == 1


async def test_a_header_longer_than_one_read(registry: Registry) -> None:
    tokens = [f"token {number} " * 8 for number in range(40_000)]
    model = gguf({**LLAMA, "tokenizer.ggml.tokens": tokens})
    await registry.create("x", {"x.gguf": model})
    assert (await registry.show("x")).template == CHAT_TEMPLATE
    info = json.loads((await registry.show("x", verbose=True)).model_info_json)
    assert info["tokenizer.ggml.tokens"] == tokens


SHARDS = list(shards(3).values())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.gguf": b"something else"}, "x.gguf: supplied file was not in GGUF format"),
        ({"x.gguf": b""}, "x.gguf: supplied file was not in GGUF format"),
        ({"x.gguf": MODEL, "y.gguf": b"no"}, "y.gguf: supplied file was not in GGUF format"),
        ({"x.gguf": MODEL[:100]}, "x.gguf: truncated: the file ends within its header"),
        ({"x.gguf": MODEL[:-1]}, "x.gguf: truncated: "),
        ({"x.gguf": gguf(version=1)}, "x.gguf: GGUF version 1 is not read, only 2 and 3"),
        ({"x.gguf": gguf(magic=b"FUGG")}, "x.gguf: big-endian GGUF files are not read"),
        ({"x.gguf": gguf({"a": 1})}, 'x.gguf: "general.architecture" is missing'),
        ({"x.gguf": gguf({"general.architecture": 3})}, 'x.gguf: "general.architecture" is'),
        ({"x.gguf": gguf(LLAMA, {})}, "x.gguf: it holds no tensors"),
        (
            {"x.gguf": gguf({**LLAMA, "general.type": "adapter"})},
            "x.gguf: a LoRA adapter is no model; give it in 'adapters'",
        ),
        (
            {"x.gguf": gguf({**LLAMA, "tokenizer.chat_template": "{% if x %}\n\n{{ y"})},
            "x.gguf: line 3 of the chat template: unexpected end of template",
        ),
        (
            {"x.gguf": gguf({**LLAMA, "tokenizer.chat_template": " " * (256 * 1024 + 1)})},
            "x.gguf: the chat template is longer than 262144 characters",
        ),
        (
            {"x.gguf": MODEL, "y.gguf": gguf(LLAMA, {"a": ("F32", (1,))})},
            "a model is one GGUF file, or all its shards; given were x.gguf, y.gguf",
        ),
        ({"x.gguf": SHARDS[0]}, "x.gguf is one of 3 shards; the others are missing"),
        ({"x.gguf": SHARDS[0], "y.gguf": SHARDS[2]}, "a model is one GGUF file, or all its"),
        ({"x.gguf": SHARDS[0], "y.gguf": MODEL}, "a model is one GGUF file, or all its shards"),
        (
            {
                str(number): gguf({**LLAMA, "split.no": number, "split.count": 2, "n": number})
                for number in range(2)
            },
            "0: two shards hold the same tensor",
        ),
        (
            {"x.gguf": gguf({**LLAMA, "split.count": 1, "split.tensors.count": 9})},
            f"x.gguf: 9 tensors expected, {len(TENSORS)} found",
        ),
        (
            {"m.gguf": MODEL, "a.gguf": MMPROJ, "b.gguf": gguf({**PROJECTOR, "x": 1}, {})},
            "a model has one projector; given were a.gguf, b.gguf",
        ),
    ],
)
async def test_files_that_make_no_model(
    registry: Registry, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(InvalidModel) as error:
        await registry.create("broken", files)
    assert error.value.message.startswith(message)
    assert await registry.names() == []


async def test_warm_answers_read_no_blob(registry: Registry) -> None:
    await registry.create("x", {"x.gguf": MODEL, "y.gguf": MMPROJ})
    for _ in range(2):
        registry.blob_service.reads.clear()
        await registry.names()
        await registry.show("x")
        await registry.resolve("x")
    assert registry.blob_service.reads == []


async def test_its_weights_are_not_read(registry: Registry) -> None:
    model = gguf(LLAMA, {**TENSORS, "large": ("F32", (8 * 1024 * 1024,))})
    files = await registry.upload({"x.gguf": model})
    await registry.create_of("x", files)
    assert 0 < registry.blob_service.bytes_read < 2 * 1024 * 1024
