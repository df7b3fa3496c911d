"""Values of requests as columns beside their rows of logits."""

from collections.abc import Iterable

import torch
from torch import Tensor
from vllm.utils.torch_utils import async_tensor_h2d


def integers(values: Iterable[int], device: torch.device) -> Tensor:
    """Make a column, without waiting for what a GPU is computing."""
    return async_tensor_h2d(list(values), device, torch.int64)[:, None]


def numbers(values: Iterable[float], device: torch.device) -> Tensor:
    """Make a column, without waiting for what a GPU is computing."""
    return async_tensor_h2d(list(values), device, torch.float32)[:, None]
