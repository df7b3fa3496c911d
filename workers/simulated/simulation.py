"""What a simulated engine's parts take: times, memory, lengths."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Simulation:
    """The measures of simulated engines; times in seconds.

    One step computes a token for each running sequence. It takes `token_time`, for every
    sequence in it `sequence_time` more, and for every token of a prompt `prompt_time` more.
    """

    token_time: float = 0.02
    sequence_time: float = 0.0
    prompt_time: float = 0.0001
    load_time: float = 1.0
    wake_time: float = 0.1
    memory: int = 0
    """Bytes that a model takes; 0: as much as its files."""
    answer_length: int = 200
    """Tokens of the longest answers; the shortest have a quarter of them."""
    rest: int = 0
    """Bytes of that which an engine keeps while it sleeps."""
    cache: int = 1 << 17
    """Tokens whose computation an engine remembers."""
