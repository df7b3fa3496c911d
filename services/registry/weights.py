"""A model's safetensors files taken together: are they complete, and what do they hold?"""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from common.errors import InvalidModel
from services.registry.contents import Contents
from services.registry.errors import in_file
from services.registry.safetensors import Tensor

_INDEX = ".safetensors.index.json"
_SHARD = re.compile(r"(.*)-(\d{1,9})-of-(\d{1,9})(\.safetensors)", re.ASCII)

# Tensors that say how others are quantised; they are no parameters of the model.
_QUANTIZATION_SUFFIXES = (
    "scale",
    "scales",
    "scale_inv",
    "zero_point",
    "zeros",
    "weight_shape",
    "g_idx",
    "absmax",
    "quant_map",
    "quant_state.bitsandbytes__nf4",
    "quant_state.bitsandbytes__fp4",
)
_UNQUANTIZED_BITS = 16
_PACKED_SUFFIXES = ("weight_packed", "qweight", "_blocks")

Files = Mapping[str, str]


async def read_tensors(contents: Contents, files: Files) -> dict[str, tuple[Tensor, ...]]:
    """Read the header of every safetensors file of a model and check that none is missing.

    Args:
        contents: where blobs are read.
        files: path to digest.

    Raises:
        InvalidModel: a file is damaged or missing; the message names it.
    """
    paths = [path for path in files if path.endswith(".safetensors")]
    if not paths:
        raise InvalidModel("no .safetensors file was given")
    check_numbering(paths)
    headers = await asyncio.gather(*(_read_header(contents, path, files[path]) for path in paths))
    tensors = dict(zip(paths, headers, strict=True))
    for path in files:
        if path.endswith(_INDEX):
            with in_file(path):
                check_index(path, await contents.document(files[path], large=True), tensors)
    return tensors


async def _read_header(contents: Contents, path: str, digest: str) -> tuple[Tensor, ...]:
    with in_file(path):
        return await contents.tensors(digest)


def check_numbering(paths: Collection[str]) -> None:
    """Find gaps in `x-00001-of-00003.safetensors`.

    Raises:
        InvalidModel: a file of a numbered series is missing.
    """
    present = set(paths)
    series = {
        (match[1], len(match[2]), match[3], match[4])
        for path in present
        if (match := _SHARD.fullmatch(path))
    }
    for stem, width, total, suffix in sorted(series):
        for number in range(1, int(total) + 1):
            shard = f"{stem}-{number:0{width}}-of-{total}{suffix}"
            if shard not in present:
                raise InvalidModel(f"{shard} is missing")


def check_index(
    path: str, index: Mapping[str, Any], tensors: Mapping[str, Collection[Tensor]]
) -> None:
    """Hold the files of one folder to have the tensors that its index lists.

    Raises:
        InvalidModel: a file or a tensor is missing, or the index is damaged.
    """
    places = index.get("weight_map")
    if not isinstance(places, dict):
        raise InvalidModel('"weight_map" is missing')
    folder = path.rpartition("/")[0]
    names: dict[str, set[str]] = {}
    for name, shard in places.items():
        location = f"{folder}/{shard}" if folder else str(shard)
        if location not in tensors:
            raise InvalidModel(f"it names {location}, which is missing")
        if location not in names:
            names[location] = {tensor.name for tensor in tensors[location]}
        if name not in names[location]:
            raise InvalidModel(f"tensor {name} is not in {location}")


def served_tensors(tensors: Mapping[str, Iterable[Tensor]]) -> list[Tensor]:
    """Give the tensors of the model itself, each once."""
    files = served_weights(tensors)
    return list({tensor.name: tensor for path in files for tensor in tensors[path]}.values())


def served_weights(paths: Iterable[str]) -> list[str]:
    """Choose among safetensors files those that make up the model itself.

    Mistral's repositories hold the weights twice: as `consolidated*.safetensors` too.
    """
    found = list(paths)
    main = [path for path in found if "/" not in path] or found
    return [path for path in main if not path.startswith("consolidated")] or main


def count_parameters(tensors: Iterable[Tensor], quantization: Mapping[str, Any]) -> int:
    """Count a model's parameters, unpacking those that share an integer."""
    bits = quantization_bits(quantization)
    total = 0
    for tensor in tensors:
        if quantization and tensor.name.endswith(_QUANTIZATION_SUFFIXES):
            continue
        packed = bits and tensor.name.endswith(_PACKED_SUFFIXES)
        total += tensor.bits // bits if packed else tensor.elements
    return total


def name_file_type(tensors: Iterable[Tensor], quantization: Mapping[str, Any]) -> str:
    """Name the type of the weights: how they are quantised, else that of most of them."""
    method = str(quantization.get("quant_method", "")).lower()
    if method in ("fp8", "mxfp4", "fbgemm_fp8"):
        return "MXFP4" if method == "mxfp4" else "FP8"
    if bits := quantization_bits(quantization):
        return _integer_type(quantization, bits)
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.dtype] += tensor.bits
    return max(sizes, key=lambda dtype: sizes[dtype], default="")


def quantization_bits(quantization: Mapping[str, Any]) -> int:
    """Bits of one quantised weight; 0 when that is not said."""
    found = quantization.get("bits") or quantization.get("w_bit")
    if found is None:
        found = _scheme(quantization, "weights").get("num_bits")
    if found is None and quantization.get("quant_method") == "mxfp4":
        found = 4
    return found if isinstance(found, int) else 0


def _integer_type(quantization: Mapping[str, Any], bits: int) -> str:
    if _scheme(quantization, "weights").get("type") == "float":
        return f"FP{bits}"
    if "config_groups" not in quantization:
        return f"INT{bits}"
    activations = _scheme(quantization, "input_activations").get("num_bits")
    return f"W{bits}A{activations or _UNQUANTIZED_BITS}"


def _scheme(quantization: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Give a part of a compressed-tensors configuration: of weights, or of activations."""
    groups = quantization.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict) and isinstance(group.get(part), dict):
            return dict(group[part])
    return {}
