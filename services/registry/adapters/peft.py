"""Adapters as PEFT saves them (github.com/huggingface/peft, src/peft/tuners/lora/config.py).

What vLLM does not compute is refused: vllm/lora/peft_helper.py has the list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, ValidationError

from common.errors import InvalidModel
from services.registry.adapters.shapes import Matrix
from services.registry.documents import Document, first_problem
from services.registry.safetensors import Tensor

_PREFIX = "base_model.model."
_NAME = re.compile(r"(.+)\.(?:lora_([AB])\.weight|lora_embedding_([AB]))")
_FLOATS = ("F16", "BF16", "F32", "F64")

# Ways to begin a training that leave the base model's weights as they are.
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
_KINDS = {
    "use_dora": "DoRA",
    "lora_bias": "a bias of the adapter",
    "alora_invocation_tokens": "activated LoRA",
    "layer_replication": "replicated layers",
    "use_bdlora": "block-diagonal LoRA",
    "use_qalora": "QALoRA",
    "modules_to_save": "layers that were trained whole (modules_to_save)",
    "trainable_token_indices": "trained tokens",
    "target_parameters": "adapted parameters (target_parameters)",
}

_Rank = Annotated[int, Field(ge=1)]


class _Config(Document):
    peft_type: str = ""
    r: _Rank
    lora_alpha: float
    bias: str = "none"
    init_lora_weights: bool | str = True
    rank_pattern: dict[str, _Rank] = Field(default_factory=dict)


@dataclass(frozen=True)
class PeftConfig:
    """The little that matters of an `adapter_config.json`."""

    rank: int
    patterns: Mapping[str, int] = field(default_factory=dict)
    """Other ranks, of layers whose names end with a pattern."""

    @property
    def largest_rank(self) -> int:
        """The largest that it allows."""
        return max(self.rank, *self.patterns.values()) if self.patterns else self.rank

    def check_rank(self, layer: str, rank: int) -> None:
        """Hold a layer's matrices to the rank that they should have.

        Raises:
            InvalidModel: they have another, so that their factor would be wrong.
        """
        if rank != self.rank and rank not in self.patterns.values():
            raise InvalidModel(f"the rank of {layer} is {rank}, and {self.rank} is expected")


def check_config(document: Mapping[str, Any]) -> PeftConfig:
    """Read an `adapter_config.json`.

    Raises:
        InvalidModel: it is damaged, or asks for what no engine computes.
    """
    try:
        config = _Config.model_validate(document)
    except ValidationError as error:
        raise InvalidModel(first_problem(error)) from error
    if config.peft_type.upper() != "LORA":
        raise InvalidModel(f"only LoRA adapters are supported, not {config.peft_type or 'others'}")
    for name, kind in _KINDS.items():
        if document.get(name):
            raise InvalidModel(f"{kind} is not supported")
    if config.bias != "none":
        raise InvalidModel(f"trained biases (bias {config.bias!r}) are not supported")
    beginning = config.init_lora_weights
    if isinstance(beginning, str) and beginning.lower() not in _PLAIN_BEGINNINGS:
        raise InvalidModel(
            f"init_lora_weights {beginning!r} changes the base model's weights, which is not "
            "supported; PEFT can save the adapter as a plain one"
        )
    return PeftConfig(config.r, config.rank_pattern)


def read_peft(tensors: Iterable[Tensor]) -> Iterator[Matrix]:
    """Read what the tensors of an `adapter_model.safetensors` are.

    Raises:
        InvalidModel: one is no matrix of an adapter.
    """
    for tensor in tensors:
        match = _NAME.fullmatch(tensor.name.removeprefix(_PREFIX))
        if not match:
            raise InvalidModel(f"{tensor.name} is not supported: it is no matrix of an adapter")
        if len(tensor.shape) != 2 or tensor.dtype not in _FLOATS:
            raise InvalidModel(f"{tensor.name} is no matrix of floating-point numbers")
        rows, columns = tensor.shape
        yield Matrix(match[1], (match[2] or match[3]) == "B", rows, columns)
