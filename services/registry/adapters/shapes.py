"""The matrices of adapters: two for each layer, whose product is added to its weights."""

from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import InvalidModel


@dataclass(frozen=True)
class Matrix:
    """One tensor of an adapter."""

    layer: str
    second: bool
    """It comes after the other: from the rank to the layer's outputs."""

    rows: int
    columns: int


@dataclass(frozen=True)
class AdaptedLayer:
    """A layer that an adapter changes."""

    name: str
    """Of its weights, without the suffix."""

    inputs: int
    outputs: int
    rank: int


def pair_up(matrices: Iterable[Matrix]) -> tuple[AdaptedLayer, ...]:
    """Put the two matrices of each layer together.

    Raises:
        InvalidModel: one is missing, they do not fit together, or there are none.
    """
    first: dict[str, Matrix] = {}
    second: dict[str, Matrix] = {}
    for matrix in matrices:
        (second if matrix.second else first)[matrix.layer] = matrix
    if single := first.keys() ^ second.keys():
        raise InvalidModel(f"one of the two matrices for {min(single)} is missing")
    if not first:
        raise InvalidModel("there are no adapted layers in it")
    return tuple(_pair(first[name], second[name]) for name in first)


def _pair(first: Matrix, second: Matrix) -> AdaptedLayer:
    if not first.rows or first.rows != second.columns:
        raise InvalidModel(f"the two matrices for {first.layer} do not fit together")
    return AdaptedLayer(first.layer, first.columns, second.rows, first.rows)
