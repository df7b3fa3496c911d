"""Makes a sequence's results on a CPU independent of what else is computed with it.

Otherwise their last bits depend on it, and with them, sooner or later, which token follows:
neither a seed nor a temperature of 0 would give the same text alone and in a crowd.
"""

import os
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

Linear = Callable[[Tensor, Any, Any], Tensor]


def attend_whole_contexts(key_heads: int, threads: int) -> None:
    """Tell vLLM not to cut a long context into parts that threads share, and add up later.

    Where it cuts depends on the other sequences. It only gains from that with more threads
    than there are heads to share out; then reproducibility would cost too much.
    """
    if threads <= key_heads:
        os.environ.setdefault("VLLM_CPU_ATTN_SPLIT_KV", "0")


def multiply_in_pairs(model: nn.Module) -> None:
    """Let the linear layers of a loaded model multiply a single row as two.

    oneDNN multiplies one row by another method than several, with other last bits; among
    several, a row's result does not depend on the others. It takes hardly longer, for the
    time goes into reading the weights.
    """
    for module in model.modules():
        linear: Linear | None = getattr(module, "cpu_linear", None)
        if linear:
            setattr(module, "cpu_linear", _in_pairs(linear))  # noqa: B010


def _in_pairs(linear: Linear) -> Linear:
    def multiply(rows: Tensor, weight: Any, bias: Any) -> Tensor:
        if rows.dim() != 2 or len(rows) != 1:
            return linear(rows, weight, bias)
        return linear(rows.repeat(2, 1), weight, bias)[:1]

    return multiply
