"""Penalties for tokens that were used before, as llama.cpp defines them."""

from torch import Tensor, searchsorted

NO_TOKEN = -1
_LARGEST = 1e30  # infinities would make the probabilities of the others undefined


def penalize(
    logits: Tensor,
    rows: Tensor,
    windows: Tensor,
    repeat: Tensor,
    presence: Tensor,
    frequency: Tensor,
) -> None:
    """Lower, in place, the logits of the tokens in each row's window.

    `windows` has a line of token ids for each of `rows`, filled up with `NO_TOKEN`; `rows`
    and the penalties are columns beside it. A token's logit is divided by `repeat`, or
    multiplied if it is negative; then `presence` is subtracted once and `frequency` for each
    time. Ids beyond the vocabulary (some models' images have such) count for nothing.
    """
    vocabulary = logits.shape[1]
    known = (windows > NO_TOKEN) & (windows < vocabulary)
    tokens = windows.where(known, vocabulary).sort(dim=1).values
    counts = searchsorted(tokens, tokens, right=True) - searchsorted(tokens, tokens)
    missing = tokens == vocabulary
    # What is missing repeats its line's first token, to be given that one's value again.
    counts = counts.where(~missing, counts[:, :1]).where(~missing[:, :1], 0)
    tokens = tokens.where(~missing, tokens[:, :1]).where(~missing[:, :1], 0)
    places = (rows, tokens)
    old = logits[places]
    scaled = (old / repeat).where(old > 0, old * repeat)
    new = (scaled - presence - frequency * counts).clamp(-_LARGEST, _LARGEST)
    logits[places] = new.where((counts > 0) & old.isfinite(), old)
