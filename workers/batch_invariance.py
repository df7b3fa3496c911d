"""Makes a sequence's results on a CPU independent of what else is computed with it.

Otherwise their last bits depend on it, and with them, sooner or later, which token follows:
neither a seed nor a temperature of 0 would give the same text alone and in a crowd.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

_AT_ONCE = 1024  # as measured, for bfloat16 and for float32

Linear = Callable[[Tensor, Any, Any], Tensor]


def attend_whole_contexts(
    environment: MutableMapping[str, str], key_heads: int, threads: int
) -> None:
    """Tell vLLM not to cut a long context into parts that threads share, and add up later.

    Where it cuts depends on the other sequences. It only gains from that with more threads
    than there are heads to share out; then reproducibility would cost too much.
    """
    if threads <= key_heads:
        environment.setdefault("VLLM_CPU_ATTN_SPLIT_KV", "0")


def multiply_in_pairs(model: nn.Module) -> None:
    """Let the linear layers of a loaded model multiply a single long row as two.

    oneDNN adds up the products of one row in another order than those of several, where
    there are more than it takes at once; among several, a row's result does not depend on
    the others. Two take little longer than one, for the time goes into reading the weights.
    """
    for module in model.modules():
        linear: Linear | None = getattr(module, "cpu_linear", None)
        if linear:
            setattr(module, "cpu_linear", _in_pairs(linear))  # noqa: B010


def _in_pairs(linear: Linear) -> Linear:
    def multiply(rows: Tensor, weight: Any, bias: Any) -> Tensor:
        if rows.dim() != 2 or rows.shape[1] <= _AT_ONCE:
            return linear(rows, weight, bias)
        if torch.compiler.is_compiling():
            # What is compiled serves any number of rows, and cannot ask for it.
            return linear(torch.cat((rows, rows[:1])), weight, bias)[:-1]
        if len(rows) != 1:
            return linear(rows, weight, bias)
        return linear(rows.repeat(2, 1), weight, bias)[:1]

    return multiply
