"""The JSON files of a Hugging Face model that tell of its weights, after these have changed."""

from collections.abc import Mapping
from typing import Any

import orjson

from services.registry.quantize.file_type import FileType
from services.registry.quantize.safetensors_file import FilePlan

_TORCH_NAMES = {FileType.F32: "float32", FileType.F16: "float16", FileType.BF16: "bfloat16"}
_TYPE_KEYS = ("dtype", "torch_dtype")


def config_document(
    config: Mapping[str, Any], file_type: FileType, quantization: Mapping[str, Any] | None
) -> bytes:
    """Write a `config.json`.

    Args:
        config: the model's own.
        file_type: the type of the weights.
        quantization: the `quantization_config`, where they are quantised.
    """
    if quantization is None:
        document = _with_type({"dtype": "", **config}, _TORCH_NAMES[file_type])
    else:
        document = {**config, "quantization_config": quantization}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def index_document(index: Mapping[str, Any], files: Mapping[str, FilePlan]) -> bytes:
    """Write a `model.safetensors.index.json`.

    Args:
        index: the model's own.
        files: what becomes of each file, by its path.
    """
    outputs = {path: plan.outputs() for path, plan in files.items()}
    places = {tensor.name: path for path, found in outputs.items() for tensor in found}
    size = sum(tensor.bits for found in outputs.values() for tensor in found) // 8
    metadata = index.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    document = {"metadata": {**metadata, "total_size": size}, "weight_map": places}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _with_type(config: Mapping[str, Any], torch_name: str) -> dict[str, Any]:
    """Replace the type wherever it is said, also in nested configurations."""
    document = dict(config)
    for key, value in config.items():
        if key in _TYPE_KEYS:
            document[key] = torch_name
        elif isinstance(value, dict):
            document[key] = _with_type(value, torch_name)
    return document
