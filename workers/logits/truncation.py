"""Leaving unlikely tokens out, as llama.cpp does: top_k, typical_p, top_p, min_p.

Each function takes logits in descending order, a row for each request, those already left
out being minus infinity, and columns of settings; it leaves more of them out. Where tokens
tie at the border all of them stay, so that the result does not depend on their order.
"""

from torch import Tensor

OUT = float("-inf")
_NEVER = float("inf")


def top_k(logits: Tensor, k: Tensor) -> Tensor:
    """Keep the `k` likeliest; 0 keeps all."""
    last = logits.shape[1] - 1
    border = logits.gather(1, (k - 1).where(k > 0, last).clamp(max=last))
    return logits.masked_fill(logits < border, OUT)


def typical_p(logits: Tensor, p: Tensor) -> Tensor:
    """Keep the tokens whose surprise is nearest to what is expected, of probability `p` together.

    Locally typical sampling (Meister et al., 2022); 1 keeps all.
    """
    log_probabilities = logits.log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    surprise = -log_probabilities.masked_fill(probabilities == 0, 0)
    entropy = (probabilities * surprise).sum(dim=1, keepdim=True)
    distance = (surprise - entropy).abs().masked_fill(probabilities == 0, _NEVER)
    ordered, order = distance.sort(dim=1)
    border = ordered.masked_fill(_before(probabilities.gather(1, order)) > p, 0).amax(
        dim=1, keepdim=True
    )
    return logits.masked_fill((distance > border) & (p < 1), OUT)


def top_p(logits: Tensor, p: Tensor) -> Tensor:
    """Keep the likeliest tokens that have probability `p` together, one at least; 1 keeps all."""
    before = _before(logits.softmax(dim=1))
    kept = ((before < p) | (before == 0)) & (logits > OUT)
    border = logits.masked_fill(~kept, _NEVER).amin(dim=1, keepdim=True)
    return logits.masked_fill((logits < border) & (p < 1), OUT)


def min_p(logits: Tensor, p: Tensor) -> Tensor:
    """Keep the tokens that have `p` times the likeliest one's probability; 0 keeps all."""
    border = logits.amax(dim=1, keepdim=True) + p.log()
    return logits.masked_fill(logits < border, OUT)


def _before(probabilities: Tensor) -> Tensor:
    """Give the sum of what stands before each."""
    return probabilities.cumsum(dim=1) - probabilities
