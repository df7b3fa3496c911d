from typing import Any

import pytest
import torch
from vllm.lora.layers import LoRAMapping

from workers.lora.cpu import CpuAdapters

PLACES, RANK, INPUTS = 2, 4, 48
WIDTHS = (16, 8)


def stacked(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(PLACES, 1, *shape, generator=torch.Generator().manual_seed(seed))


FIRST = tuple(stacked(RANK, INPUTS, seed=number) for number in range(2))
SECOND = tuple(stacked(width, RANK, seed=10 + number) for number, width in enumerate(WIDTHS))
INPUT = torch.randn(5, INPUTS, generator=torch.Generator().manual_seed(20))


def adapters(tokens: list[int], samples: list[int] | None = None) -> CpuAdapters:
    """Give what multiplies for tokens of these adapters; 0: none. Adapter 7 is at place 0."""
    wrapper = CpuAdapters(64, 16, "cpu")
    mapping = LoRAMapping(tuple(tokens), tuple(samples or tokens), is_prefill=True)
    wrapper.update_metadata(mapping, [7, 8], PLACES + 1, 100)
    return wrapper


def expected(tokens: list[int]) -> torch.Tensor:
    result = torch.zeros(len(tokens), sum(WIDTHS))
    for row, adapter in enumerate(tokens):
        if adapter:
            parts = [
                second[adapter - 7, 0] @ first[adapter - 7, 0] @ INPUT[row]
                for first, second in zip(FIRST, SECOND, strict=True)
            ]
            result[row] = torch.cat(parts)
    return result


@pytest.mark.parametrize(
    "tokens", [[0] * 5, [7] * 5, [8, 0, 7, 0, 8], [0, 0, 0, 0, 8], [7, 7, 8, 8, 7]]
)
def test_each_row_gets_its_own_adapter(tokens: list[int]) -> None:
    result = torch.ones(5, sum(WIDTHS))
    adapters(tokens).add_lora_linear(result, INPUT, FIRST, SECOND, 1.0, WIDTHS)
    assert torch.allclose(result - 1, expected(tokens), atol=1e-4)


def test_scores_follow_the_samples() -> None:
    result = torch.zeros(2, WIDTHS[0])
    wrapper = adapters([7, 7, 7, 0, 0], samples=[8, 0])
    wrapper.add_lora_logits(result, INPUT[:2], FIRST[0], SECOND[0], 1.0)
    assert torch.allclose(result[0], SECOND[0][1, 0] @ FIRST[0][1, 0] @ INPUT[0], atol=1e-4)
    assert not result[1].any()


def test_embeddings() -> None:
    rows = torch.randn(3, RANK, generator=torch.Generator().manual_seed(3))
    result = torch.zeros(3, WIDTHS[0])
    adapters([0, 8, 7]).add_lora_embedding(result, rows, SECOND[0], add_input=True)
    assert not result[0].any()
    assert torch.allclose(result[1], SECOND[0][1, 0] @ rows[1], atol=1e-5)
    assert torch.allclose(result[2], SECOND[0][0, 0] @ rows[2], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_a_row_gives_the_same_alone_and_among_others(dtype: Any) -> None:
    size, count = 4096, 60
    random = torch.Generator().manual_seed(1)
    first = torch.randn(1, 1, 16, size, generator=random).to(dtype)
    second = torch.randn(1, 1, size, 16, generator=random).to(dtype)
    rows = torch.randn(count, size, generator=random).to(dtype)

    def apply(chosen: torch.Tensor) -> torch.Tensor:
        result = torch.zeros(len(chosen), size, dtype=dtype)
        wrapper = adapters([7] * len(chosen))
        wrapper.add_lora_linear(result, chosen, (first,), (second,), 1.0, (size,))
        return result

    alone = torch.cat([apply(row[None]) for row in rows])
    for some in (2, 3, 16, 33, count):
        assert apply(rows[:some]).equal(alone[:some])
