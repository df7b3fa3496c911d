"""What the package compressed-tensors reads in a model that was quantised here."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from compressed_tensors.compressors.base import (  # type: ignore[import-untyped]
    BaseCompressor,
)
from compressed_tensors.quantization import (  # type: ignore[import-untyped]
    QuantizationConfig,
)
from safetensors.torch import load

from services.registry.manifest import parse_manifest
from tests.services.registry.quantize.weights import decoder, model_files
from tests.services.registry.running import Registry

LAYER = "model.layers.1.mlp.down_proj"


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("wanted", ["q4_K_M", "q4_K_S", "q8_0"])
async def test_it_restores_the_same_weights(registry: Registry, wanted: str, dtype: str) -> None:
    source = decoder(hidden=128, inner=256, dtype=dtype)
    await registry.create("x", model_files(source), quantize=wanted)
    document, tensors = await made(registry)
    config = QuantizationConfig.model_validate(document)
    scheme = config.config_groups["group_0"]
    own = {
        name.removeprefix(f"{LAYER}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(LAYER)
    }
    compressor: Any = BaseCompressor.get_value_from_registry(config.format)
    assert set(own) == set(compressor.compression_param_names(scheme))
    restored = compressor.decompress(own, scheme)["weight"]
    assert restored.dtype == own["weight_scale"].dtype
    scales = own["weight_scale"]
    exact = torch.from_numpy(source[f"{LAYER}.weight"].astype(np.float32))
    repeated = scales.float().repeat_interleave(exact.shape[1] // scales.shape[1], dim=1)
    bits = config.config_groups["group_0"].weights.num_bits
    limits = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    expected = (exact / repeated).round().clamp(*limits).to(scales.dtype) * repeated.to(
        scales.dtype
    )
    assert torch.equal(restored, expected)
    if dtype == "F32":
        again = compressor.compress({"weight": exact, "weight_scale": scales}, scheme)
        assert all(torch.equal(again[name], tensor) for name, tensor in own.items())


async def made(registry: Registry) -> tuple[Any, dict[str, torch.Tensor]]:
    (stored,) = await registry.manifests()
    layers = {layer.name: layer.digest for layer in parse_manifest(stored.content).layers}
    config = json.loads(await registry.blobs.read(layers["config.json"]))
    weights = await registry.blobs.read(layers["model.safetensors"])
    return config["quantization_config"], load(weights)
