"""Makes a sequence's results on a CPU independent of what else is computed with it.

Otherwise their last bits depend on it, and with them, sooner or later, which token follows:
neither a seed nor a temperature of 0 would give the same text alone and in a crowd.
"""

from collections.abc import Callable, MutableMapping
from inspect import isfunction
from typing import Any

import torch
from torch import Tensor, nn

# As measured with vLLM 0.32. Lengths of rows are in numbers of their elements.
_LONGEST_ALONE = 1024  # of a single row whose products oneDNN adds up as those among others
_LONGEST_AT_ONCE = 256  # of rows of which oneDNN with AMX may take any number
_TILE = 32  # rows that oneDNN takes at once with AMX
_FEWEST_PACKED = 5  # rows; fewer are computed without AMX

Linear = Callable[[Tensor, Any, Any], Tensor]

_linears: list[Linear] = []  # by number: what is compiled holds no functions


def attend_whole_contexts(
    environment: MutableMapping[str, str], key_heads: int, threads: int
) -> None:
    """Tell vLLM not to cut a long context into parts that threads share, and add up later.

    Where it cuts depends on the other sequences. It only gains from that with more threads
    than there are heads to share out; then reproducibility would cost too much.
    """
    if threads <= key_heads:
        environment.setdefault("VLLM_CPU_ATTN_SPLIT_KV", "0")


def multiply_alike(model: nn.Module) -> None:
    """Let the linear layers of a loaded model give a row the same result in any company.

    oneDNN adds up the products of a single long row in another order than those of several; with
    AMX it does so for more rows than are a tile, too. Small layers then have vLLM's own kernel,
    which does so for fewer than five. So too few rows are multiplied with copies of them, which
    takes little longer, for the time goes into reading the weights; and many long ones a tile at
    a time, which takes up to half as long again as all at once, and a tenth of what it takes
    without AMX.
    """
    in_tiles = _types_in_tiles()
    for module in model.modules():
        linear: Linear | None = getattr(module, "cpu_linear", None)
        if linear:
            setattr(module, "cpu_linear", _alike(linear, in_tiles))  # noqa: B010


def _types_in_tiles() -> tuple[torch.dtype, ...]:
    bfloat16 = [torch.bfloat16] if torch.cpu._is_amx_tile_supported() else []
    float16 = [torch.float16] if torch.cpu._is_amx_fp16_supported() else []
    return (*bfloat16, *float16)


def _is_packed(linear: Any) -> bool:
    """Tell whether a layer's function, as vLLM made it, calls its own kernel for AMX."""
    return isfunction(linear) and "packed_weight" in linear.__code__.co_freevars


def _alike(linear: Linear, types_in_tiles: tuple[torch.dtype, ...]) -> Linear:
    number = len(_linears)
    packed = _is_packed(linear)

    def fewest(rows: Tensor) -> int:
        if packed:
            return _FEWEST_PACKED
        return 2 if rows.shape[1] > _LONGEST_ALONE else 1

    def goes_in_tiles(rows: Tensor) -> bool:
        long = rows.shape[1] > _LONGEST_AT_ONCE
        return long and not packed and rows.dtype in types_in_tiles

    def among_others(rows: Tensor, weight: Any, bias: Any) -> Tensor:
        count, wanted = len(rows), fewest(rows)
        if count >= wanted or not count:
            return linear(rows, weight, bias)
        return linear(rows.repeat(-(-wanted // count), 1), weight, bias)[:count]

    def in_tiles(rows: Tensor, weight: Any, bias: Any) -> Tensor:
        if len(rows) <= _TILE or not goes_in_tiles(rows):
            return among_others(rows, weight, bias)
        return torch.cat([among_others(part, weight, bias) for part in torch.split(rows, _TILE)])

    def multiply(rows: Tensor, weight: Any, bias: Any) -> Tensor:
        if rows.dim() != 2:
            return linear(rows, weight, bias)
        if not torch.compiler.is_compiling():
            return in_tiles(rows, weight, bias)
        # What is compiled serves any number of rows, and cannot ask for it.
        if goes_in_tiles(rows):
            is_kept = weight is not None and weight.dim() == 2
            width = len(weight) if is_kept else _width(number, rows.shape[1], rows.dtype)
            result: Tensor = torch.ops.paddock.multiply(rows, weight, bias, number, width)
            return result
        added = fewest(rows) - 1
        if not added:
            return linear(rows, weight, bias)
        copies = rows[:1].expand(added, rows.shape[1])
        return linear(torch.cat((rows, copies)), weight, bias)[:-added]

    _linears.append(in_tiles)
    return multiply


@torch._dynamo.assume_constant_result  # type: ignore[untyped-decorator]
def _width(number: int, length: int, dtype: torch.dtype) -> int:
    """Tell how long the results of a layer are, whose weights its function keeps to itself."""
    width: int = _linears[number](torch.zeros(1, length, dtype=dtype), None, None).shape[1]
    return width


@torch.library.custom_op(
    "paddock::multiply",
    mutates_args=(),
    schema="(Tensor rows, Tensor? weight, Tensor? bias, int number, int width) -> Tensor",
)
def _multiply(rows: Tensor, weight: Any, bias: Any, number: int, _width: int) -> Tensor:
    return _linears[number](rows, weight, bias)


@_multiply.register_fake
def _shape(rows: Tensor, _weight: Any, _bias: Any, _number: int, width: int) -> Tensor:
    return rows.new_empty(rows.shape[0], width)
