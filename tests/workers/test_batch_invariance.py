from typing import Any

import pytest
import torch
from torch import nn
from vllm import _custom_ops as kernels
from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

from workers.batch_invariance import attend_whole_contexts, multiply_alike
from workers.compilation import compiling

SPLIT = "VLLM_CPU_ATTN_SPLIT_KV"


class Linear(nn.Module):
    """A layer as vLLM leaves it after loading: with a function that multiplies."""

    def __init__(self, multiply: Any) -> None:
        super().__init__()
        self.cpu_linear = multiply


def layer(dtype: torch.dtype, length: int, width: int) -> Any:
    """Give the function of a layer for which vLLM chose one."""
    linear: Any = nn.Linear(length, width, bias=False, dtype=dtype).requires_grad_(False)
    linear.weight.data.copy_(randoms(0, width, length))
    dispatch_cpu_unquantized_gemm(linear, remove_weight=True)
    multiply_alike(linear)
    return linear.cpu_linear


def randoms(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.skipif(not kernels._supports_onednn, reason="vLLM has no oneDNN here")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("length", "width"),
    [(256, 3072), (512, 256), (496, 1200), (1024, 512), (1024, 960), (1040, 960), (4096, 960)],
)
def test_a_row_gives_the_same_alone_and_among_others(
    dtype: torch.dtype, length: int, width: int
) -> None:
    multiply = layer(dtype, length, width)
    rows = randoms(1, 600, length).to(dtype)
    alone = torch.cat([multiply(row[None], None, None) for row in rows])
    for count in (2, 4, 5, 16, 32, 33, 100, 600):
        among_others = torch.cat([multiply(part, None, None) for part in torch.split(rows, count)])
        assert among_others.equal(alone)


@pytest.mark.skipif(not kernels._supports_onednn, reason="vLLM has no oneDNN here")
@pytest.mark.parametrize(("length", "width"), [(512, 256), (4096, 960)])
def test_what_is_compiled_for_many_rows_gives_a_single_one_the_same(
    length: int, width: int
) -> None:
    multiply = layer(torch.bfloat16, length, width)
    torch.compiler.reset()  # without guards, what was compiled for another length would be called
    with compiling():
        # as vLLM does
        options: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
        compiled: Any = torch.compile(multiply, backend="eager", fullgraph=True, options=options)
    rows = randoms(1, 600, length).bfloat16()
    mark_dynamic: Any = torch._dynamo.mark_dynamic
    mark_dynamic(rows, 0)
    among_others = compiled(rows, None, None)
    alone = [compiled(row[None].clone(), None, None) for row in rows]
    assert torch.cat(alone).equal(among_others)
    assert multiply(rows, None, None).equal(among_others)


@pytest.mark.parametrize(
    ("length", "amx", "counts"),
    [
        (1024, False, [1, 2, 3, 70]),
        (1025, False, [2, 2, 3, 70]),
        (256, True, [1, 2, 3, 70]),
        (257, True, [1, 2, 3, 32, 32, 6]),
        (1025, True, [2, 2, 3, 32, 32, 6]),
    ],
)
def test_how_many_rows_are_multiplied_at_once(
    length: int, amx: bool, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    seen = []

    def multiply(rows: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
        seen.append(len(rows))
        result: torch.Tensor = rows @ weight + bias
        return result

    model = nn.Sequential(Linear(multiply), nn.Identity())
    multiply_alike(model)
    wrapped: Any = model[0].cpu_linear
    generator = torch.Generator().manual_seed(0)
    rows, weight, bias = (
        torch.randint(-2, 3, shape, generator=generator).bfloat16()
        for shape in ((70, length), (length, 2), (2,))
    )
    for count in (1, 2, 3, 70):
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
