"""How many processes compute one model, and how they divide it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Parallelism:
    """What each engine of a worker is divided into; see vLLM's settings of these names."""

    tensor: int = 1
    """Parts that each layer is divided into."""
    pipeline: int = 1
    """Parts that the row of layers is divided into."""
    executor: Literal["uni", "mp", "ray"] = "uni"
    """What runs the parts: the engine's own process, processes of this machine, or Ray's actors."""

    @property
    def size(self) -> int:
        """How many processes compute, each on a GPU of its own where there are any."""
        return self.tensor * self.pipeline
