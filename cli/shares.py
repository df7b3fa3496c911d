"""How a machine is divided among processes of one kind."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_CORES_PER_GATEWAY = 16
_MOST_GATEWAYS = 4


@dataclass(frozen=True)
class Share:
    """What one worker has of a machine."""

    gpu: str | None = None
    """The GPU, as `CUDA_VISIBLE_DEVICES` names it; None: what the worker finds."""
    sharers: int = 1
    """Workers that divide that GPU, or where there is none the machine."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What a worker is told on its command line."""
        return ("--sharers", str(self.sharers)) if self.sharers > 1 else ()

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What a worker is told by variables."""
        return () if self.gpu is None else (("CUDA_VISIBLE_DEVICES", self.gpu),)


def divide(workers: int, gpus: Sequence[str]) -> list[Share]:
    """Divide a machine: each GPU in turn to a worker, or without GPUs all of it evenly.

    A single worker is told nothing.
    """
    if workers == 1 or not gpus:
        return [Share(sharers=workers)] * workers
    chosen = [gpus[number % len(gpus)] for number in range(workers)]
    sharers = Counter(chosen)
    return [Share(gpu, sharers[gpu]) for gpu in chosen]


def gateways_for(cores: int) -> int:
    """Say how many gateways a machine has use for, where each token costs one about 30 us."""
    return max(1, min(cores // _CORES_PER_GATEWAY, _MOST_GATEWAYS))


def serving_cpus(cpus: Collection[int], engines: int) -> list[int]:
    """Say which CPUs are to answer on, where engines compute on CPUs: those that these leave.

    The first ones are left to engines, one for each, and half of all at most, as vLLM itself takes
    the first; with a single CPU there is nothing to divide, and none is named.
    """
    left = min(engines, len(cpus) // 2)
    return sorted(cpus)[left:] if left else []
