"""How much memory a model gets, and how many threads: from its configuration alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import InvalidModel, OutOfMemory
from workers.engine import DType, Plan, Rest
from workers.lora.memory import adapter_bytes
from workers.parallelism import Parallelism

_MEBIBYTE = 1 << 20

# Sequences of full length that the key-value cache is made for. Real ones are shorter, and
# share prefixes. An embedding's cache is free again after one step, if it has any.
_FULL_SEQUENCES = {False: 32, True: 4}
_LEAST_CACHE = 64 * _MEBIBYTE
# Of the budget, so that a second model has room.
_LARGEST_SHARE = 1 / 4
# Tokens without which serving makes no sense.
_LEAST_WINDOW = 512
# What each process of an engine takes beside weights and cache: the interpreter's own pages,
# activations, and on a GPU the CUDA context and graphs.
_OVERHEAD = {False: 384 * _MEBIBYTE, True: 3072 * _MEBIBYTE}
# More for a model that sees: images decoded, processed (`MOST_HELD`, in two processes) and in
# its encoder.
_VISION_OVERHEAD = 1024 * _MEBIBYTE

# Below this a thread more costs more than it computes: 60 tokens/s with two threads against
# 306 with one, for a model of 3 M parameters.
_SMALL_MODEL = 50_000_000

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "num_heads")
_HIDDEN = ("hidden_size", "n_embd", "d_model")

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# The model's own type, but for half precision: CPUs compute in bfloat16.
_CPU_TYPES: dict[str, DType] = {"float32": "float32", "float16": "bfloat16", "bfloat16": "bfloat16"}


def plan_engine(
    config: Mapping[str, Any],
    weights: int,
    budget: int,
    *,
    cores: int,
    accelerator: bool,
    pooling: bool,
    vision: bool = False,
    longest: int | None = None,
    lora_rank: int = 0,
    max_adapters: int = 0,
    parallelism: Parallelism = Parallelism(),  # noqa: B008
    sleeps: bool = False,
    compiles: bool = False,
) -> Plan:
    """Plan an engine for a model with this `config.json` and `weights` bytes of files.

    `vision` tells that it takes images. `longest` caps the window. With a `lora_rank`, places
    for `max_adapters` adapters of that rank are planned for. The cache holds some full
    windows, or what a quarter of the budget holds, or what is left of it. An engine of several
    processes has the memory of all their GPUs, and divides the cores.

    Raises:
        InvalidModel: the configuration says nothing about the model's shape.
        OutOfMemory: weights and the least useful cache do not fit into the budget.
    """
    text = text_config(config)
    overhead = _OVERHEAD[accelerator] + (_VISION_OVERHEAD if vision else 0)
    others = overhead * parallelism.size
    fixed = weights + others
    quantized = bool(config.get("quantization_config") or text.get("quantization_config"))
    dtype = "auto" if accelerator else _cpu_type(_type_name(text), quantized=quantized)
    if lora_rank:
        # On a CPU what was read lies in the same memory as the places.
        copies = max_adapters * (1 if accelerator else 2)
        # Half of an adapter's matrices are not divided with the layers; which half differs.
        copies *= parallelism.tensor
        fixed += copies * adapter_bytes(text, lora_rank, 4 if dtype == "float32" else 2)
    threads = (
        1 if weights // _element_size(text) <= _SMALL_MODEL else max(cores // parallelism.size, 1)
    )
    if fixed > budget:
        raise too_large(fixed, budget)
    per_token = cache_bytes_per_token(text, parallelism.tensor)
    own = _window(text)
    window = min(own, longest or own)
    sequences = _FULL_SEQUENCES[pooling]
    cache = _cache_size(per_token, window, sequences, budget, budget - fixed)
    return Plan(
        memory=fixed + cache,
        kv_cache=cache,
        threads=threads,
        dtype=dtype,
        context_length=min(window, cache // per_token) if window < own else None,
        lora_rank=lora_rank,
        max_adapters=max_adapters if lora_rank else 0,
        asleep=Rest(fixed - others, others) if sleeps else Rest(),
        compiles=compiles,
    )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the part of a `config.json` that is about text; most have no other."""
    part = config.get("text_config")
    if not isinstance(part, dict):
        return config
    stated = {key: value for key, value in part.items() if value is not None}
    has_type = "dtype" in stated or "torch_dtype" in stated
    return stated if has_type else stated | {"dtype": _type_name(config)}


def states_shape(config: Mapping[str, Any]) -> bool:
    """Tell whether a `config.json` states the model's shape, and not only what is special."""
    text = text_config(config)
    return all(any(name in text for name in names) for names in (_LAYERS, _HEADS, _HIDDEN))


def cache_bytes_per_token(config: Mapping[str, Any], parts: int = 1) -> int:
    """Give the bytes of key-value cache that one token takes in all layers.

    Where each layer is divided into more parts than it has heads, several hold the same ones.

    Raises:
        InvalidModel: the configuration does not tell.
    """
    layers = _first(config, _LAYERS)
    heads = _first(config, _HEADS)
    hidden = _first(config, _HIDDEN)
    element = 2 if _element_size(config) == 2 else 4
    if config.get("kv_lora_rank"):  # multi-head latent attention keeps one vector a layer
        latent = int(config["kv_lora_rank"]) + int(config.get("qk_rope_head_dim") or 0)
        return layers * latent * element * parts
    key_heads = max(int(config.get("num_key_value_heads") or heads), parts)
    head = int(config.get("head_dim") or hidden // heads)
    return 2 * layers * key_heads * head * element


def _cache_size(per_token: int, window: int, sequences: int, budget: int, room: int) -> int:
    wanted = max(per_token * window * sequences, _LEAST_CACHE)
    size = min(wanted, int(budget * _LARGEST_SHARE), room)
    least = min(window, _LEAST_WINDOW) * per_token
    if size < least:
        raise too_large(budget - room + least, budget)
    return size


def _cpu_type(name: str, *, quantized: bool) -> DType:
    """Choose the type to compute in; kernels for quantised weights take no other than this."""
    return "bfloat16" if quantized else _CPU_TYPES.get(name, "auto")


def _window(config: Mapping[str, Any]) -> int:
    return int(config.get("max_position_embeddings") or config.get("n_positions") or 2048)


def _element_size(config: Mapping[str, Any]) -> int:
    return _BYTES.get(_type_name(config), 2)


def _type_name(config: Mapping[str, Any]) -> str:
    return str(config.get("dtype") or config.get("torch_dtype"))


def _first(config: Mapping[str, Any], names: Sequence[str]) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise InvalidModel(f"the model's config.json has no {names[0]}")


def too_large(need: int, budget: int) -> OutOfMemory:
    """Make the error for a model that takes more than the worker has, both in bytes."""
    gigabyte = 2**30
    return OutOfMemory(
        f"model requires more memory ({need / gigabyte:.1f} GiB) than the worker has "
        f"({budget / gigabyte:.1f} GiB)"
    )
