"""llama.cpp's samplers, written down plainly: one row, lists instead of tensors."""

import math
from collections import Counter
from collections.abc import Sequence

Candidates = list[tuple[int, float]]
"""Tokens and their logits, the likeliest first."""


def candidates(logits: Sequence[float]) -> Candidates:
    return sorted(enumerate(logits), key=lambda each: (-each[1], each[0]))


def probabilities(given: Candidates) -> list[float]:
    largest = max(logit for _, logit in given)
    weights = [math.exp(logit - largest) for _, logit in given]
    return [weight / sum(weights) for weight in weights]


def penalized(
    logits: Sequence[float], window: Sequence[int], repeat: float, presence: float, frequency: float
) -> list[float]:
    result = list(logits)
    for token, count in Counter(window).items():
        logit = result[token]
        logit = logit / repeat if logit > 0 else logit * repeat
        result[token] = logit - presence - frequency * count
    return result


def top_k(given: Candidates, k: int) -> Candidates:
    return given[:k] if k > 0 else given


def typical_p(given: Candidates, p: float) -> Candidates:
    if p >= 1:
        return given
    chances = probabilities(given)
    entropy = -sum(chance * math.log(chance) for chance in chances if chance > 0)
    order = sorted(
        (index for index, chance in enumerate(chances) if chance > 0),
        key=lambda index: abs(-math.log(chances[index]) - entropy),
    )
    kept, total = [], 0.0
    for index in order:
        kept.append(index)
        total += chances[index]
        if total > p:
            break
    return [given[index] for index in sorted(kept)]


def top_p(given: Candidates, p: float) -> Candidates:
    if p >= 1:
        return given
    total = 0.0
    for index, chance in enumerate(probabilities(given)):
        total += chance
        if total >= p:
            return given[: index + 1]
    return given


def min_p(given: Candidates, p: float) -> Candidates:
    chances = probabilities(given)
    return [each for each, chance in zip(given, chances, strict=True) if chance >= p * max(chances)]


def mirostat_v1(given: Candidates, limit: float, vocabulary: int) -> Candidates:
    chances = [chance for chance in probabilities(given) if chance > 0]
    products = squares = 0.0
    for index in range(min(100, len(chances)) - 1):
        step = math.log((index + 2) / (index + 1))
        products += step * math.log(chances[index] / chances[index + 1])
        squares += step * step
    exponent = products / squares
    excess = exponent - 1
    k = (excess * 2**limit / (1 - vocabulary**-excess)) ** (1 / exponent)
    return given[: max(int(min(k, vocabulary)), 1)]


def mirostat_v2(given: Candidates, limit: float) -> Candidates:
    chances = probabilities(given)
    kept = [
        each for each, chance in zip(given, chances, strict=True) if -math.log2(chance) <= limit
    ]
    return kept or given[:1]
