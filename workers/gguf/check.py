"""Checking a conversion against the model's class, which knows what weights it has."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from common.errors import InvalidModel
from workers.gguf.families import Family

_SHOWN = 3
_EXPERT = re.compile(r"(.+)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight")
_DOWN = ("down_proj", "w2")

Shape = tuple[int, ...]


def check_shapes(folder: Path, family: Family, shapes: Mapping[str, Shape]) -> None:
    """Check that the weights are those that the configuration in a folder calls for.

    Raises:
        InvalidModel: one is missing, is too much, or has another shape.
    """
    expected = _expected(folder, family)
    given = _fuse_experts(shapes) if family.experts else _rename(shapes, family.own_names)
    wrong = [
        f"{name} is {found} instead of {wanted}"
        for name in sorted({*expected, *given})
        if (wanted := expected.get(name, "nothing")) != (found := given.get(name, "missing"))
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InvalidModel(
            f"the GGUF file's tensors do not make a {family.model_type}: "
            f"{'; '.join(wrong[:_SHOWN])}{more}"
        )


def _expected(folder: Path, family: Family) -> dict[str, Shape]:
    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):  # no memory is taken
            if family.pooling:
                model = AutoModel.from_config(  # type: ignore[no-untyped-call]
                    config, add_pooling_layer=False
                )
            else:
                model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a class makes of wrong values
        traceback.print_exc()  # into the worker's log
        raise InvalidModel(
            f"the GGUF file's settings do not make a {family.model_type}; "
            "the worker's log tells more"
        ) from error
    return {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}


def _rename(
    shapes: Mapping[str, Shape], own_names: Mapping[str, tuple[str, ...]]
) -> dict[str, Shape]:
    """Give the shapes under the names that the classes have for them in memory."""
    given = dict(shapes)
    for part, others in own_names.items():
        for name in [name for name in given if part in name]:
            rows, *columns = given.pop(name)
            for other in others:
                given[name.replace(part, other)] = (rows // len(others), *columns)
    return given


def _fuse_experts(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Give the shapes as the classes have them in memory: all experts of a layer in one."""
    fused: dict[str, Shape] = {}
    for name, shape in shapes.items():
        match = _EXPERT.fullmatch(name)
        if not match:
            fused[name.replace(".block_sparse_moe.gate.", ".mlp.gate.")] = shape
            continue
        rows, columns = shape
        count = int(match[2]) + 1
        if match[3] in _DOWN:
            fused[f"{match[1]}.mlp.experts.down_proj"] = (count, rows, columns)
        else:
            fused[f"{match[1]}.mlp.experts.gate_up_proj"] = (count, 2 * rows, columns)
    return fused
