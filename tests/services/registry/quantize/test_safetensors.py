"""Safetensors models, quantised while they are created."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from common.errors import InvalidModel, InvalidRequest
from services.registry.manifest import Manifest, parse_manifest
from tests.services.registry.model_folders import as_json, config, llama
from tests.services.registry.quantize.weights import (
    Tensors,
    decoder,
    model_files,
    random_matrix,
    read_safetensors,
    relative_error,
    write_safetensors,
)
from tests.services.registry.running import Registry

Q_PROJ = "model.layers.0.self_attn.q_proj"


async def files_of(registry: Registry, model: str) -> dict[str, bytes]:
    manifest = await manifest_of(registry, model)
    return {layer.name: await registry.blobs.read(layer.digest) for layer in manifest.layers}


async def manifest_of(registry: Registry, model: str) -> Manifest:
    stored = [it for it in await registry.manifests() if it.name.model == model]
    return parse_manifest(stored[0].content)


async def test_four_bits(registry: Registry) -> None:
    source = decoder()
    await registry.create("base", model_files(source))
    lines = await registry.create_from("small", "base", quantize="q4_K_M", system="Be brief.")
    made = await files_of(registry, "small")
    assert lines[0] == "quantizing BF16 model to Q4_K_M"
    assert lines[-1] == "success"
    weights = read_safetensors(made["model.safetensors"])
    assert f"{Q_PROJ}.weight" not in weights
    assert list(weights[f"{Q_PROJ}.weight_shape"]) == [64, 64]
    restored = dequantize_int4(weights, Q_PROJ)
    assert relative_error(restored, source[f"{Q_PROJ}.weight"]) < 0.12
    for name in ("model.embed_tokens.weight", "model.layers.1.input_layernorm.weight"):
        assert weights[name].tobytes() == source[name].tobytes()
    details = (await registry.show("small")).summary.details
    assert (details.quantization_level, details.parent_model) == ("W4A16", "base:latest")
    original = (await registry.show("base")).summary.details
    assert details.parameter_size == original.parameter_size
    assert (await registry.show("small")).system == "Be brief."


async def test_the_lines_name_every_layer_once(registry: Registry) -> None:
    await registry.create("base", model_files(decoder()))
    lines = await registry.create_from("small", "base", quantize="Q8_0")
    manifest = await manifest_of(registry, "small")
    new = {line.split()[-1] for line in lines if line.startswith("creating new layer")}
    old = [line.split()[-1] for line in lines if line.startswith("using existing layer")]
    assert {layer.digest for layer in manifest.layers} == (new | set(old)) - {
        manifest.config.digest
    }
    assert {layer.digest for layer in manifest.layers if layer.name.startswith("token")} == set(old)


async def test_eight_bits(registry: Registry) -> None:
    source = decoder(dtype="F16")
    lines = await registry.create("small", model_files(source), quantize="q8_0")
    assert lines[0] == "quantizing F16 model to Q8_0"
    weights = read_safetensors((await files_of(registry, "small"))["model.safetensors"])
    restored = weights[f"{Q_PROJ}.weight"] * weights[f"{Q_PROJ}.weight_scale"].astype(np.float32)
    assert weights[f"{Q_PROJ}.weight_scale"].shape == (64, 1)
    assert relative_error(restored, source[f"{Q_PROJ}.weight"]) < 0.015
    assert (await registry.resolve("small")).spec.details.quantization_level == "W8A8"


@pytest.mark.parametrize(
    ("wanted", "hidden", "inner", "group_size"),
    [("q4_K_M", 128, 256, 32), ("q4_K_S", 128, 256, 128), ("q4_K_S", 128, 96, 32)],
)
async def test_groups(
    registry: Registry, wanted: str, hidden: int, inner: int, group_size: int
) -> None:
    await registry.create("x", model_files(decoder(1, hidden, inner)), quantize=wanted)
    made = await files_of(registry, "x")
    quantization = json.loads(made["config.json"])["quantization_config"]
    assert quantization["config_groups"]["group_0"]["weights"]["group_size"] == group_size
    scales = read_safetensors(made["model.safetensors"])[f"{Q_PROJ}.weight_scale"]
    assert scales.shape == (hidden, hidden // group_size)


async def test_the_configuration_names_what_stays(registry: Registry) -> None:
    tensors = decoder(1) | {
        "model.layers.0.mlp.gate.weight": random_matrix(8, 64),
        "model.layers.0.self_attn.odd_proj.weight": random_matrix(64, 64),
        "model.vision_tower.layers.0.self_attn.q_proj.weight": random_matrix(64, 64),
        "lm_head.weight": random_matrix(256, 64),
    }
    await registry.create("x", model_files(tensors, dtype="bfloat16"), quantize="q4_K_M")
    document = json.loads((await files_of(registry, "x"))["config.json"])
    assert document["quantization_config"]["ignore"] == [
        "lm_head",
        "model.embed_tokens",
        "model.layers.0.mlp.gate",
        "model.layers.0.self_attn.odd_proj",
        "model.vision_tower.layers.0.self_attn.q_proj",
    ]
    assert document["dtype"] == "bfloat16"
    assert document["hidden_size"] == 64


async def test_shards_and_their_index(registry: Registry) -> None:
    tensors = decoder()
    names = list(tensors)
    paths = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    halves = [{name: tensors[name] for name in names[start::2]} for start in (0, 1)]
    index = {path: list(half) for path, half in zip(paths, halves, strict=True)}
    files = llama(model__safetensors=None) | {
        path: write_safetensors(half) for path, half in zip(paths, halves, strict=True)
    }
    places = {name: path for path, found in index.items() for name in found}
    files["model.safetensors.index.json"] = as_json(
        {"metadata": {"total_size": 1, "format": "x"}, "weight_map": places}
    )
    await registry.create("x", files, quantize="q4_K_M")
    made = await files_of(registry, "x")
    document = json.loads(made["model.safetensors.index.json"])
    found = {name: path for path in paths for name in read_safetensors(made[path])}
    assert document["weight_map"] == found
    size = sum(it.nbytes for path in paths for it in read_safetensors(made[path]).values())
    assert document["metadata"] == {"total_size": size, "format": "x"}
    await registry.create("again", made)


async def test_a_second_copy_of_the_weights_is_left_out(registry: Registry) -> None:
    files = model_files(decoder())
    files |= {"consolidated.safetensors": files["model.safetensors"], "params.json": b"{}"}
    lines = await registry.create("x", files, quantize="q4_K_M")
    assert "leaving out consolidated.safetensors, which is not used to serve the model" in lines
    assert not {"consolidated.safetensors", "params.json"} & (await files_of(registry, "x")).keys()


@pytest.mark.parametrize("wanted", ["q8_0", "f16"])
async def test_an_adapter_stays_as_it_is(registry: Registry, wanted: str) -> None:
    index = {"weight_map": dict.fromkeys(decoder(), "model.safetensors")}
    files = model_files(decoder()) | {"model.safetensors.index.json": as_json(index)}
    await registry.create("base", files)
    matrices = {
        f"base_model.model.{Q_PROJ}.lora_A.weight": random_matrix(8, 64),
        f"base_model.model.{Q_PROJ}.lora_B.weight": random_matrix(64, 8),
    }
    adapter = {
        "adapter_config.json": as_json({"peft_type": "LORA", "r": 8, "lora_alpha": 16}),
        "adapter_model.safetensors": write_safetensors(matrices),
    }
    await registry.create_from("tuned", "base", adapters=await registry.upload(adapter))
    await registry.create_from("small", "tuned", quantize=wanted)
    made = await files_of(registry, "small")
    assert {path: made[path] for path in adapter} == adapter
    assert (await registry.resolve("small")).spec.adapter.rank == 8
    shown = await registry.show("small")
    assert not [it.name for it in shown.tensors if "lora" in it.name]


@pytest.mark.parametrize(
    ("dtype", "wanted", "name"), [("F32", "BF16", "bfloat16"), ("BF16", "f32", "float32")]
)
async def test_another_type_of_floating_point(
    registry: Registry, dtype: str, wanted: str, name: str
) -> None:
    source = decoder(dtype=dtype) | {"model.ids": np.arange(3, dtype=np.int64)}
    files = model_files(source, torch_dtype="x", text_config={**json.loads(config()), "dtype": "x"})
    await registry.create("x", files, quantize=wanted)
    made = await files_of(registry, "x")
    weights = read_safetensors(made["model.safetensors"])
    kind: Any = {"BF16": ml_dtypes.bfloat16, "f32": np.float32}[wanted]
    for key, tensor in source.items():
        expected = tensor if tensor.dtype == np.int64 else tensor.astype(kind)
        assert weights[key].tobytes() == expected.tobytes()
    document = json.loads(made["config.json"])
    assert (document["torch_dtype"], document["text_config"]["dtype"]) == (name, name)
    assert "quantization_config" not in document
    assert (await registry.resolve("x")).spec.details.quantization_level == wanted.upper()


async def test_the_type_that_it_has(registry: Registry) -> None:
    await registry.create("base", model_files(decoder()))
    lines = await registry.create_from("same", "base", quantize="bf16")
    assert not [line for line in lines if line.startswith("quantizing")]
    assert (await registry.resolve("same")).spec.weights == (
        await registry.resolve("base")
    ).spec.weights


async def test_what_is_quantized_stays_as_it_is(registry: Registry) -> None:
    await registry.create("small", model_files(decoder()), quantize="q8_0")
    with pytest.raises(InvalidRequest, match="only supported for F16, BF16 and F32 models"):
        await registry.create_from("smaller", "small", quantize="q4_K_M")


async def test_a_type_that_nobody_knows(registry: Registry) -> None:
    await registry.create("base", model_files(decoder()))
    with pytest.raises(InvalidRequest) as refusal:
        await registry.create_from("x", "base", quantize="q3_k_l")
    assert refusal.value.message == (
        "unsupported quantization type Q3_K_L - supported types are "
        "F32, F16, BF16, Q4_K_S, Q4_K_M (or Q4_K), Q8_0"
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"wte.weight": random_matrix(64, 64)}, "no layers that can be quantized"),
        ({"tok.q_proj.weight": random_matrix(64, 48)}, "no layers that can be quantized"),
        (
            {
                "model.embed_tokens.weight": random_matrix(256, 64),
                "model.layers.0.mlp.experts.down_proj": np.zeros((2, 64, 64), np.float16),
            },
            "all experts of a layer in one tensor",
        ),
    ],
)
async def test_weights_of_an_odd_form(registry: Registry, tensors: Tensors, message: str) -> None:
    uploaded = await registry.upload(model_files(tensors))
    before = registry.stored_blobs()
    with pytest.raises(InvalidModel, match=message):
        await registry.create_of("x", uploaded, quantize="q4_K_M")
    assert registry.stored_blobs() == before


@pytest.mark.parametrize(
    ("value", "wanted", "message"),
    [(np.nan, "q4_K_M", "not a finite number"), (1e6, "f16", "too large for F16")],
)
async def test_weights_that_cannot_be_converted(
    registry: Registry, value: float, wanted: str, message: str
) -> None:
    tensors = decoder()
    tensors[f"{Q_PROJ}.weight"][3, 5] = value
    uploaded = await registry.upload(model_files(tensors))
    before = registry.stored_blobs()
    with pytest.raises(InvalidModel, match=rf"model\.safetensors: {Q_PROJ}\.weight: .*{message}"):
        await registry.create_of("x", uploaded, quantize=wanted)
    assert registry.stored_blobs() == before
    assert await registry.names() == []


async def test_a_modelfile_and_a_type(registry: Registry) -> None:
    await registry.create("base", model_files(decoder()))
    await registry.create("x", modelfile="FROM base\nSYSTEM hello", quantize="q4_k_s")
    shown = await registry.show("x")
    assert (shown.summary.details.quantization_level, shown.system) == ("W4A16", "hello")


def dequantize_int4(weights: Tensors, layer: str) -> Any:
    packed = weights[f"{layer}.weight_packed"].view(np.uint32)
    scales = weights[f"{layer}.weight_scale"].astype(np.float32)
    nibbles = (packed[:, :, None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
    integers = nibbles.reshape(len(packed), -1).astype(np.float32) - 8
    return integers * np.repeat(scales, integers.shape[1] // scales.shape[1], axis=1)
