"""Adapters on a CPU: each sequence's rows are multiplied with its own adapter, and no other.

vLLM's own code for CPUs copies an adapter's matrices for every token, which takes gigabytes
for a long prompt of a large model. And it takes the place -1, which means that a sequence
has no adapter, for the last place: beside sequences that have one, the base model answers
as the last adapter would.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from vllm.lora.layers import base_linear, fused_moe
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms import current_platform

Groups = Sequence[tuple[int, Tensor]]

_TILE = 16  # rows; AMX takes as many at once


def use_own_multiplication() -> None:
    """Let this process's layers multiply by this module's code."""
    name = f"{__name__}.{CpuAdapters.__name__}"
    setattr(type(current_platform), "get_punica_wrapper", lambda *_: name)  # noqa: B010
    # vLLM asks a layer's weights for their device; kernels of 8-bit integers take them away.
    for module in (base_linear, fused_moe):
        setattr(module, "_get_lora_device", lambda _: torch.device("cpu"))  # noqa: B010


class CpuAdapters(PunicaWrapperCPU):
    """Adds to a batch's results what its sequences' adapters make of the inputs."""

    def update_metadata(self, *arguments: Any, **named: Any) -> None:
        """Take the places of the next batch's adapters."""
        super().update_metadata(*arguments, **named)
        self._of_tokens: Groups = list(_groups(self.token_lora_indices))
        self._of_samples: Groups = list(_groups(self.sampler_indices))

    def add_lora_linear(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: tuple[Tensor, ...],
        lora_b_stacked: tuple[Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        **_: Any,
    ) -> None:
        """Add to the results of a layer, or of several that are computed as one."""
        offset = 0
        for first, second, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            part = y[:, offset : offset + width]
            _add(part, x, first, second, scale, self._of_tokens)
            offset += width

    def add_lora_embedding(
        self, y: Tensor, x: Tensor, lora_b_stacked: Tensor, add_inputs: bool = True, **_: Any
    ) -> None:
        """Add to the embeddings of tokens; `x` has the tokens' rows of the first matrices."""
        for place, rows in self._of_tokens:
            product = _multiply(x[rows], _matrix(lora_b_stacked, place))
            y.index_add_(0, rows, product.to(y.dtype))

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        **_: Any,
    ) -> None:
        """Add to the scores of the next tokens."""
        _add(y, x, lora_a_stacked, lora_b_stacked, scale, self._of_samples)


def _groups(places: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Give each place that is used, with the rows that use it."""
    for place in torch.unique(places).tolist():
        if place >= 0:
            yield place, (places == place).nonzero().squeeze(1)


def _add(y: Tensor, x: Tensor, first: Tensor, second: Tensor, scale: float, groups: Groups) -> None:
    for place, rows in groups:
        inner = _multiply(x[rows], _matrix(first, place))
        product = _multiply(inner, _matrix(second, place))[:, : y.shape[1]]
        y.index_add_(0, rows, (product * scale).to(y.dtype))


def _matrix(stacked: Tensor, place: int) -> Tensor:
    return stacked[place].flatten(0, -2)


def _multiply(rows: Tensor, matrix: Tensor) -> Tensor:
    """Multiply so that a row's result is the same alone and among others.

    The order in which products are added up depends on how many rows there are, so there are
    always as many.
    """
    padded = pad(rows.to(matrix.dtype), (0, 0, 0, -len(rows) % _TILE))
    products = [tile @ matrix.T for tile in torch.split(padded, _TILE)]
    return torch.cat(products)[: len(rows)]
