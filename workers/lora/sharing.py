"""Which models share an engine: pure policy.

An engine is started for one set of weights, and for adapters up to some rank, or for none.
It serves the base model itself and every adapter that is small enough, each sequence with
its own: a second copy of the weights would cost gigabytes, and a base model that is computed
beside adapters loses nothing. So what is here already is used wherever it fits.
"""

from collections.abc import Iterable
from typing import NamedTuple

from common.errors import InvalidModel
from protos.paddock.v1 import model_pb2

# Memory and time grow with the rank that an engine takes, whatever adapters have. Few steps
# let adapters of different ranks share one; vLLM knows these, and none above the last.
_RANKS = (16, 64, 256, 512)


class EngineKey(NamedTuple):
    """What an engine was started for."""

    weights: str
    lora_rank: int = 0
    """The largest that an adapter may have; 0: it takes none."""

    def serves(self, wanted: "EngineKey") -> bool:
        """Tell whether it can do what another would be started for."""
        return self.weights == wanted.weights and self.lora_rank >= wanted.lora_rank


def wanted_engine(spec: model_pb2.ModelSpec) -> EngineKey:
    """Tell what an engine has to be started for to serve a model.

    Raises:
        InvalidModel: no engine takes an adapter of its rank.
    """
    return EngineKey(spec.weights, engine_rank(spec))


def engine_rank(spec: model_pb2.ModelSpec) -> int:
    """Give the rank that an engine is started with for a model; 0: it has no adapter.

    Raises:
        InvalidModel: no engine takes one of its rank.
    """
    if not spec.HasField("adapter"):
        return 0
    rank = next((rank for rank in _RANKS if rank >= spec.adapter.rank), None)
    if rank is None:
        raise InvalidModel(
            f"the adapter's rank is {spec.adapter.rank}; an engine takes {_RANKS[-1]} at most"
        )
    return rank


def choose_engine(wanted: EngineKey, held: Iterable[EngineKey]) -> EngineKey:
    """Choose the engine that serves a model with the least effort, or the one to be started."""
    fitting = [key for key in held if key.serves(wanted)]
    return min(fitting, key=lambda key: key.lora_rank, default=wanted)
