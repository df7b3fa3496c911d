"""How the tokens of one request are chosen."""

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protos.paddock.v1 import generation_pb2

WHOLE_CONTEXT = -1
_EXTRA_ARGUMENT = "paddock_sampling"
_RANDOM_SEED = -1
_PENALTY_WINDOW = 64
# Below this only the likeliest token is left, and dividing by it would overflow.
_LEAST_TEMPERATURE = 1e-5


@dataclass(frozen=True)
class Settings:
    """Ollama's sampling options after their odd values were given a meaning.

    Each step's default turns it off.
    """

    seed: int | None = None
    """None: another one for each request."""
    temperature: float = 1.0
    """0: the likeliest token."""
    top_k: int = 0
    typical_p: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    penalty_window: int = 0
    """Tokens at the end of prompt and answer that penalties look at, or `WHOLE_CONTEXT`."""
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: int = 0
    """1 or 2: the algorithm's version. It replaces everything that truncates."""
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1

    @property
    def penalised(self) -> bool:
        """Whether any penalty changes anything."""
        penalties = (self.repeat_penalty, self.presence_penalty, self.frequency_penalty)
        return self.penalty_window != 0 and penalties != (1.0, 0.0, 0.0)

    @property
    def likeliest(self) -> bool:
        """Whether the likeliest token is taken, once the penalties have been applied."""
        return self.temperature == 0 and self.typical_p == 1

    def extra_arguments(self) -> dict[str, Any]:
        """Give the form in which vLLM carries them to the engine's process, seed and all."""
        seed = secrets.randbits(63) if self.seed is None else self.seed
        return {_EXTRA_ARGUMENT: dataclasses.asdict(self) | {"seed": seed}}


def carried_settings(arguments: Mapping[str, Any] | None) -> Settings | None:
    """Read what `extra_arguments` gave; None: the request is vLLM's to sample."""
    carried = (arguments or {}).get(_EXTRA_ARGUMENT)
    return Settings(**carried) if carried else None


def read_settings(options: generation_pb2.Options) -> Settings:
    """Read a request's options, those that are unset as turned off.

    Where Ollama would fail, or choose nonsense, the nearest meaning is taken: a penalty
    factor of 0 or less is none, an unknown mirostat version is none.
    """
    temperature = _temperature(options)
    top_k = max(options.top_k, 0)
    top_p = min(options.top_p, 1.0) if options.HasField("top_p") else 1.0
    typical_p = options.typical_p if 0 < options.typical_p < 1 else 1.0
    min_p = max(options.min_p, 0.0)
    mirostat = options.mirostat if options.mirostat in (1, 2) and temperature > 0 else 0
    # What cannot make a difference is turned off.
    if mirostat:
        top_k, typical_p, top_p, min_p = 0, 1.0, 1.0, 0.0
    if top_k == 1:
        temperature, typical_p = 0.0, 1.0
    if temperature == 0 or top_p <= 0 or min_p >= 1:
        temperature, top_p, min_p = 0.0, 1.0, 0.0
    return Settings(
        seed=options.seed if options.HasField("seed") and options.seed != _RANDOM_SEED else None,
        temperature=temperature,
        top_k=top_k,
        typical_p=typical_p,
        top_p=top_p,
        min_p=min_p,
        penalty_window=_penalty_window(options),
        repeat_penalty=options.repeat_penalty if options.repeat_penalty > 0 else 1.0,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        mirostat=mirostat,
        mirostat_tau=options.mirostat_tau if options.HasField("mirostat_tau") else 5.0,
        mirostat_eta=options.mirostat_eta if options.HasField("mirostat_eta") else 0.1,
    )


def _temperature(options: generation_pb2.Options) -> float:
    if not options.HasField("temperature"):
        return 1.0
    return options.temperature if options.temperature >= _LEAST_TEMPERATURE else 0.0


def _penalty_window(options: generation_pb2.Options) -> int:
    if not options.HasField("repeat_last_n"):
        return _PENALTY_WINDOW
    return max(options.repeat_last_n, WHOLE_CONTEXT)
