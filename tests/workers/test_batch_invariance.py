from typing import Any

import pytest
import torch
from torch import nn
from vllm import _custom_ops as kernels

from workers.batch_invariance import attend_whole_contexts, multiply_in_pairs
from workers.compilation import compiling

SPLIT = "VLLM_CPU_ATTN_SPLIT_KV"


class Linear(nn.Module):
    """A layer as vLLM leaves it after loading: with a function that multiplies."""

    def __init__(self, multiply: Any) -> None:
        super().__init__()
        self.cpu_linear = multiply


def onednn(dtype: torch.dtype, length: int) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(960, length, generator=generator).to(dtype)
    handler = kernels.create_onednn_mm(weight.t(), 8)

    def multiply(rows: torch.Tensor, _: Any, bias: Any) -> torch.Tensor:
        return kernels.onednn_mm(handler, rows, bias)

    return nn.Sequential(Linear(multiply))


@pytest.mark.skipif(not kernels._supports_onednn, reason="vLLM has no oneDNN here")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("length", [1024, 1040, 4096])
def test_a_row_gives_the_same_alone_and_among_others(dtype: torch.dtype, length: int) -> None:
    model = onednn(dtype, length)
    multiply_in_pairs(model)
    multiply: Any = model[0].cpu_linear
    rows = torch.randn(33, length, generator=torch.Generator().manual_seed(1)).to(dtype)
    alone = torch.cat([multiply(row[None], None, None) for row in rows])
    for count in (2, 3, 16, 33):
        assert multiply(rows[:count], None, None).equal(alone[:count])


@pytest.mark.skipif(not kernels._supports_onednn, reason="vLLM has no oneDNN here")
def test_what_is_compiled_for_many_rows_gives_a_single_one_the_same() -> None:
    model = onednn(torch.bfloat16, 4096)
    multiply_in_pairs(model)
    multiply: Any = model[0].cpu_linear
    with compiling():
        # as vLLM does
        options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
        compiled: Any = torch.compile(multiply, backend="eager", fullgraph=True, options=options)
    rows = torch.randn(33, 4096, generator=torch.Generator().manual_seed(1)).bfloat16()
    mark_dynamic: Any = torch._dynamo.mark_dynamic
    mark_dynamic(rows, 0)
    among_others = compiled(rows, None, None)
    assert compiled(rows[:1].clone(), None, None).equal(among_others[:1])
    assert multiply(rows, None, None).equal(among_others)


@pytest.mark.parametrize(("length", "counts"), [(1024, [1, 2, 3]), (1025, [2, 2, 3])])
def test_only_a_single_long_row_is_doubled(length: int, counts: list[int]) -> None:
    seen = []

    def multiply(rows: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
        seen.append(len(rows))
        result: torch.Tensor = rows @ weight + bias
        return result

    model = nn.Sequential(Linear(multiply), nn.Identity())
    multiply_in_pairs(model)
    wrapped: Any = model[0].cpu_linear
    rows, weight, bias = torch.rand(3, length), torch.rand(length, 2), torch.rand(2)
    for count in (1, 2, 3):
        expected = rows[:count] @ weight + bias
        assert torch.allclose(wrapped(rows[:count], weight, bias), expected)
    assert seen == counts


@pytest.mark.parametrize(
    ("heads", "threads", "before", "after"),
    [
        (2, 2, {}, {SPLIT: "0"}),
        (8, 2, {}, {SPLIT: "0"}),
        (2, 4, {}, {}),
        (8, 2, {SPLIT: "1"}, {SPLIT: "1"}),
    ],
)
def test_contexts_are_cut_only_where_threads_would_have_nothing_to_do(
    heads: int, threads: int, before: dict[str, str], after: dict[str, str]
) -> None:
    attend_whole_contexts(before, heads, threads)
    assert before == after
