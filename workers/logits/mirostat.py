"""Mirostat: sampling that steers the surprise of a text (Basu et al., 2021), both versions.

As in llama.cpp: it starts at twice the wanted surprise, and version 1 estimates the
distribution's exponent from its hundred likeliest tokens.
"""

import math

from torch import Tensor

from workers.logits.randomness import draw
from workers.logits.settings import Settings
from workers.logits.truncation import OUT

_ESTIMATED_FROM = 100


class Mirostat:
    """One sequence's state: the largest surprise, in bits, that a token may have."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limit = self._next_limit = 2 * settings.mirostat_tau
        self._position = -1

    @property
    def limit(self) -> float:
        """What the next token's limit will be."""
        return self._next_limit

    def choose(
        self, logits: Tensor, number: Tensor, position: int, known: int | None = None
    ) -> Tensor:
        """Choose a token from a row of logits, its temperature applied, and adapt.

        `number` is a uniform one. Asked again at the same position, it gives the same answer:
        a chunk of a prompt makes the engine ask where no token follows. A `known` token is
        not chosen but adapted to.
        """
        if position != self._position:
            self._position, self._limit = position, self._next_limit
        ordered, tokens = logits.sort(descending=True, stable=True)
        kept = ordered[: self._kept(ordered.log_softmax(dim=0))]
        chosen = draw(kept[None], number)[0, 0]
        if known is not None:
            chosen = (tokens == known).nonzero()[0, 0].clamp(max=len(kept) - 1)
        surprise = -float(kept.log_softmax(dim=0)[chosen]) / math.log(2)
        error = surprise - self._settings.mirostat_tau
        if math.isfinite(error):  # a broken model's logits are no numbers
            self._next_limit = self._limit - self._settings.mirostat_eta * error
        return tokens[chosen] if known is None else tokens.new_tensor(known)

    def _kept(self, log_probabilities: Tensor) -> int:
        """Give how many of the likeliest tokens are left to choose from, one at least."""
        if self._settings.mirostat == 1:
            return _kept_by_exponent(log_probabilities, self._limit)
        surprising = log_probabilities < -self._limit * math.log(2)
        return max(int((~surprising).sum()), 1)


def _kept_by_exponent(log_probabilities: Tensor, limit: float) -> int:
    """Take the distribution for one of Zipf's, and cut it where its surprise reaches `limit`."""
    possible = log_probabilities[log_probabilities > OUT]
    head = possible[:_ESTIMATED_FROM]
    if len(head) < 2:
        return 1
    ranks = head.new_tensor(range(1, len(head) + 1)).log()
    steps = ranks.diff()
    exponent = float((steps * -head.diff()).sum() / (steps * steps).sum())
    return max(min(_zipf_rank(exponent, len(log_probabilities), limit), len(possible)), 1)


def _zipf_rank(exponent: float, vocabulary: int, limit: float) -> int:
    """Give the rank at which a Zipf distribution's surprise is `limit` bits."""
    if exponent <= 0:
        return vocabulary
    size = math.log(vocabulary)
    excess = exponent - 1
    # At 1 the quotient is taken at its limit.
    scale = excess / (1 - math.exp(-excess * size)) if excess else 1 / size
    return int(math.exp(min((math.log(scale) + limit * math.log(2)) / exponent, size)))
