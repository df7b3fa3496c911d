"""Models with a LoRA adapter, made and described."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import InvalidModel, InvalidRequest
from tests.services.registry.gguf.building import LLAMA, TENSORS, gguf
from tests.services.registry.model_folders import as_json, llama, safetensors, sentence_transformer
from tests.services.registry.running import Registry, digest_of, running_registry

ADAPTER = "application/vnd.ollama.image.adapter"
QUERY = "model.layers.0.self_attn.q_proj"
WEIGHTS = {"model.embed_tokens.weight": ("BF16", [256, 64]), f"{QUERY}.weight": ("BF16", [64, 64])}
GGUF_MODEL = {**LLAMA, "llama.embedding_length": 64}
GGUF_WEIGHTS = {
    **TENSORS,
    "blk.0.attn_q.weight": ("F16", (64, 64)),
    "token_embd.weight": ("F16", (64, 256)),
}
GGUF_ADAPTER = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 16.0,
}
GGUF_MATRICES = {
    "blk.0.attn_q.weight.lora_a": ("F32", (64, 8)),
    "blk.0.attn_q.weight.lora_b": ("F32", (8, 64)),
}


def base() -> dict[str, bytes]:
    return llama(model__safetensors=safetensors(WEIGHTS))


def config(**fields: Any) -> bytes:
    plain = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
    return as_json({**plain, **fields})


def matrices(
    layer: str = QUERY, rank: int = 8, inputs: int = 64, outputs: int = 64, dtype: str = "F32"
) -> dict[str, tuple[str, list[int]]]:
    return {
        f"base_model.model.{layer}.lora_A.weight": (dtype, [rank, inputs]),
        f"base_model.model.{layer}.lora_B.weight": (dtype, [outputs, rank]),
    }


def peft(
    tensors: dict[str, tuple[str, list[int]]] | None = None, **fields: Any
) -> dict[str, bytes]:
    return {
        "adapter_config.json": config(**fields),
        "adapter_model.safetensors": safetensors(tensors or matrices()),
    }


def gguf_adapter(**fields: Any) -> bytes:
    return gguf({**GGUF_ADAPTER, **fields}, GGUF_MATRICES)


async def create(
    registry: Registry, name: str, adapter: dict[str, bytes], source: str = "base"
) -> list[str]:
    return await registry.create_from(name, source, adapters=await registry.upload(adapter))


def layers(registry: Registry, name: str) -> list[dict[str, Any]]:
    folder = registry.folder / "manifests/registry.ollama.ai/library"
    found = json.loads((folder / name / "latest").read_bytes())["layers"]
    return [layer for layer in found if layer["mediaType"] == ADAPTER]


async def test_a_stored_adapter_for_another_model(registry: Registry) -> None:
    await registry.create("base", base())
    await create(registry, "tuned", peft())
    assert (await registry.resolve("tuned")).spec.adapter.rank == 8
    other = WEIGHTS | {f"{QUERY}.weight": ("BF16", [32, 64])}
    await registry.create("other", llama(model__safetensors=safetensors(other)))
    # As a manifest that somebody put into the store, or pulled.
    path = registry.folder / "manifests/registry.ollama.ai/library/other/latest"
    manifest = json.loads(path.read_bytes())
    manifest["layers"] += layers(registry, "tuned")
    path.write_bytes(json.dumps(manifest).encode())
    with pytest.raises(InvalidModel, match=r"model 'other:latest' is damaged.*does not fit"):
        await registry.resolve("other")


async def test_pefts_files(registry: Registry) -> None:
    await registry.create("base", base())
    files = peft()
    lines = await create(registry, "tuned", files | {"README.md": b"x", "optimizer.pt": b"y"})
    assert "reading adapter metadata" in lines
    assert lines[-1] == "success"
    assert layers(registry, "tuned") == [
        {"mediaType": ADAPTER, "digest": digest_of(content), "size": len(content), "name": name}
        for name, content in files.items()
    ]
    plain, tuned = [(await registry.resolve(name)).spec for name in ("base", "tuned")]
    assert tuned.weights == plain.weights
    assert [file.path for file in tuned.files] == [file.path for file in plain.files]
    assert not plain.HasField("adapter")
    assert [file.path for file in tuned.adapter.files] == list(files)
    assert len(tuned.adapter.digest) == 64
    assert tuned.adapter.rank == 8
    shown = await registry.show("tuned")
    assert shown.summary.details.parent_model == "base:latest"
    for content in files.values():
        assert f"# ADAPTER @{digest_of(content)}\n" in shown.modelfile


async def test_a_gguf_file_under_any_name(registry: Registry) -> None:
    await registry.create("base", base())
    content = gguf_adapter()
    await create(registry, "tuned", {"my-lora": content})
    assert layers(registry, "tuned") == [
        {"mediaType": ADAPTER, "digest": digest_of(content), "size": len(content)}
    ]
    spec = (await registry.resolve("tuned")).spec
    assert [file.path for file in spec.adapter.files] == ["adapter.gguf"]
    assert spec.adapter.rank == 8


@pytest.mark.parametrize("adapter", [peft(), {"a.gguf": gguf_adapter()}], ids=["peft", "gguf"])
async def test_on_a_gguf_model(registry: Registry, adapter: dict[str, bytes]) -> None:
    await registry.create("base", {"m.gguf": gguf(GGUF_MODEL, GGUF_WEIGHTS)})
    await create(registry, "tuned", adapter)
    assert (await registry.resolve("tuned")).spec.adapter.rank == 8


async def test_beside_the_files_of_a_model(registry: Registry) -> None:
    adapters = await registry.upload(peft())
    await registry.create("tuned", base(), adapters=adapters)
    assert (await registry.resolve("tuned")).spec.adapter.rank == 8


async def test_a_model_keeps_its_adapter_until_another_replaces_it(registry: Registry) -> None:
    await registry.create("base", base())
    await create(registry, "one", peft())
    await registry.create_from("heir", "one", system="x")
    specs = [(await registry.resolve(name)).spec for name in ("one", "heir")]
    assert specs[0].adapter == specs[1].adapter
    await create(registry, "two", peft(matrices(rank=4), r=4), "heir")
    assert (await registry.resolve("two")).spec.adapter.rank == 4
    assert len(layers(registry, "two")) == 2
    await create(registry, "three", {"x.gguf": gguf_adapter()}, "heir")
    assert len(layers(registry, "three")) == 1


async def test_ranks(registry: Registry) -> None:
    await registry.create("base", base())
    await create(registry, "a", peft(matrices(rank=32), rank_pattern={"q_proj": 32}))
    assert (await registry.resolve("a")).spec.adapter.rank == 32


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ({"adapter_model.safetensors": b""}, "adapter_config.json is missing"),
        ({"adapter_config.json": config()}, "adapter_model.safetensors is missing"),
        (
            {"adapter_config.json": config(), "adapter_model.bin": b""},
            "adapter_model.bin cannot be used: PEFT writes safetensors",
        ),
        ({"adapters.safetensors": b""}, "MLX's form of adapters is not read"),
        ({"a.gguf": b"1", "b.gguf": b"2"}, "only one adapter is currently supported"),
        ({"a.gguf": b"no GGUF"}, "supplied file was not in GGUF format"),
        ({"a.gguf": gguf()}, "a whole model was given as an adapter"),
        ({"a.gguf": gguf_adapter(**{"adapter.type": "ia3"})}, "only LoRA adapters are supported"),
        ({"a.gguf": gguf_adapter(**{"general.architecture": "odd"})}, "'odd' models are not supp"),
        (peft(peft_type="IA3"), "only LoRA adapters are supported, not IA3"),
        (peft(r=0), "r must be 1 or more"),
        (peft(use_dora=True), "DoRA is not supported"),
        (peft(bias="all"), "trained biases"),
        (peft(modules_to_save=["lm_head"]), "modules_to_save"),
        (peft(init_lora_weights="pissa"), "changes the base model's weights"),
        (peft(matrices(rank=4)), "the rank of model.layers.0.self_attn.q_proj is 4, and 8 is exp"),
        (peft(matrices(rank=1024), r=1024), "rank is 1024; at most 512 is supported"),
        (peft({"base_model.model.lm_head.weight": ("F32", [4, 4])}), "is no matrix of an adapter"),
        (peft(dict(list(matrices().items())[:1])), "one of the two matrices for .* is missing"),
        (peft(matrices(dtype="I32")), "no matrix of floating-point numbers"),
        (peft(matrices("model.layers.7.self_attn.q_proj")), "has no model.layers.7.self_attn"),
        (
            peft(matrices(inputs=128)),
            "not fit the model: it is for 128 inputs and 64 outputs of .*, which has 64 and 64",
        ),
    ],
)
async def test_adapters_that_are_refused(
    registry: Registry, adapter: dict[str, bytes], message: str
) -> None:
    await registry.create("base", base())
    with pytest.raises(InvalidModel, match=message):
        await create(registry, "tuned", adapter)
    assert await registry.names() == ["base:latest"]


async def test_a_gguf_adapter_for_another_kind_of_model(registry: Registry) -> None:
    await registry.create("base", {"m.gguf": gguf(GGUF_MODEL, GGUF_WEIGHTS)})
    other = gguf_adapter(**{"general.architecture": "qwen2"})
    with pytest.raises(InvalidModel, match="for qwen2 models, and this one is llama"):
        await create(registry, "tuned", {"a.gguf": other})


async def test_an_embedding_model_takes_none(registry: Registry) -> None:
    await registry.create("base", sentence_transformer())
    with pytest.raises(InvalidModel, match="adapters for embedding models are not supported"):
        await create(registry, "tuned", peft())


async def test_packed_weights_are_held_to_their_names_alone(registry: Registry) -> None:
    packed = {
        "model.embed_tokens.weight": ("BF16", [256, 64]),
        f"{QUERY}.weight_packed": ("I32", [64, 8]),
    }
    await registry.create("base", llama(model__safetensors=safetensors(packed)))
    await create(registry, "tuned", peft())


class TestModelfile:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "root" / "lora"
        (folder / "checkpoint-1").mkdir(parents=True)
        for name, content in peft().items():
            (folder / name).write_bytes(content)
        (folder / "checkpoint-1" / "optimizer.pt").write_bytes(b"x")
        (folder.parent / "lora.gguf").write_bytes(gguf_adapter())
        return folder.parent

    @pytest.fixture
    async def registry(self, tmp_path: Path, root: Path) -> AsyncIterator[Registry]:
        async with running_registry(tmp_path / "store", modelfiles=root) as running:
            await running.create("base", base())
            yield running

    @pytest.mark.parametrize(
        ("source", "files"),
        [
            ("./lora", ["adapter_config.json", "adapter_model.safetensors"]),
            ("lora", ["adapter_config.json", "adapter_model.safetensors"]),
            ("./lora.gguf", ["adapter.gguf"]),
        ],
    )
    async def test_a_path(self, registry: Registry, source: str, files: list[str]) -> None:
        await registry.create("tuned", modelfile=f"FROM base\nADAPTER {source}")
        spec = (await registry.resolve("tuned")).spec
        assert [file.path for file in spec.adapter.files] == files

    async def test_beside_the_modelfile(self, registry: Registry, root: Path) -> None:
        (root / "Modelfile").write_text("FROM base\nADAPTER ./lora\n")
        await registry.create("tuned", path=str(root / "Modelfile"))
        assert (await registry.resolve("tuned")).spec.adapter.rank == 8

    async def test_digests(self, registry: Registry) -> None:
        for adapter in (peft(), {"x": gguf_adapter()}):
            digests = (await registry.upload(adapter)).values()
            lines = "".join(f"ADAPTER @{digest}\n" for digest in digests)
            await registry.create("tuned", modelfile=f"FROM base\n{lines}")
            assert len(layers(registry, "tuned")) == len(adapter)

    @pytest.mark.parametrize(
        ("adapters", "message"),
        [
            ("ADAPTER ./lora\nADAPTER ./lora.gguf", "only one adapter is currently supported"),
            ("ADAPTER ../elsewhere", "is not in the folder of PADDOCK_MODELFILES"),
        ],
    )
    async def test_what_is_refused(self, registry: Registry, adapters: str, message: str) -> None:
        with pytest.raises(InvalidRequest, match=message):
            await registry.create("tuned", modelfile=f"FROM base\n{adapters}")
