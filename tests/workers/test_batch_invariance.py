from typing import Any

import pytest
import torch
from torch import nn
from vllm import _custom_ops as kernels

from workers.batch_invariance import attend_whole_contexts, multiply_alike
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
@pytest.mark.parametrize("length", [496, 512, 1024, 1040, 4096])
def test_a_row_gives_the_same_alone_and_among_others(dtype: torch.dtype, length: int) -> None:
    model = onednn(dtype, length)
    multiply_alike(model)
    multiply: Any = model[0].cpu_linear
    rows = torch.randn(300, length, generator=torch.Generator().manual_seed(1)).to(dtype)
    alone = torch.cat([multiply(row[None], None, None) for row in rows])
    for count in (2, 3, 16, 32, 33, 40, 65, 100, 300):
        assert multiply(rows[:count], None, None).equal(alone[:count])


@pytest.mark.skipif(not kernels._supports_onednn, reason="vLLM has no oneDNN here")
def test_what_is_compiled_for_many_rows_gives_a_single_one_the_same() -> None:
    model = onednn(torch.bfloat16, 4096)
    multiply_alike(model)
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


@pytest.mark.skipif(not torch.cpu._is_amx_tile_supported(), reason="this CPU has no AMX")
@pytest.mark.parametrize(("length", "width"), [(256, 3072), (512, 256), (1024, 1024)])
def test_vllm_s_own_kernel_gives_a_row_the_same_alone_and_among_others(
    length: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    packed = torch.ops._C.convert_weight_packed(
        torch.randn(width, length, generator=generator).bfloat16()
    )

    def kernel(rows: torch.Tensor, _: Any, bias: Any) -> torch.Tensor:
        return kernels.weight_packed_linear_cpu(rows, packed, width, bias)

    model = nn.Sequential(Linear(kernel))
    multiply_alike(model)
    multiply: Any = model[0].cpu_linear
    rows = torch.randn(300, length, generator=torch.Generator().manual_seed(1)).bfloat16()
    alone = torch.cat([multiply(row[None], None, None) for row in rows])
    for count in (2, 3, 4, 5, 6, 33, 100, 300):
        assert multiply(rows[:count], None, None).equal(alone[:count])


@pytest.mark.parametrize(
    ("length", "amx", "counts"),
    [
        (1024, False, [1, 2, 3, 70]),
        (1025, False, [2, 2, 3, 70]),
        (256, True, [5, 6, 6, 70]),
        (257, True, [5, 6, 6, 32, 32, 6]),
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
