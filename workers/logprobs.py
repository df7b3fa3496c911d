"""vLLM's log probabilities in the form that goes over the wire."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from protos.paddock.v1 import generation_pb2


class Logprob(Protocol):
    """One token's log probability as vLLM gives it."""

    logprob: float
    rank: int | None
    decoded_token: str | None


def token_logprobs(
    tokens: Iterable[int],
    positions: Iterable[Mapping[int, Logprob] | None],
    alternatives: int,
) -> list[generation_pb2.TokenLogprob]:
    """Give each token's log probability with the best `alternatives`, the likeliest first."""
    return [
        _with_alternatives(token, found, alternatives)
        for token, found in zip(tokens, positions, strict=False)
        if found
    ]


def _with_alternatives(
    token: int, found: Mapping[int, Logprob], alternatives: int
) -> generation_pb2.TokenLogprob:
    best = sorted(found.values(), key=lambda it: -it.logprob)[:alternatives]
    message = _message(found[token])
    message.alternatives.extend(_message(each) for each in best)
    return message


def _message(logprob: Logprob) -> generation_pb2.TokenLogprob:
    text = logprob.decoded_token or ""
    return generation_pb2.TokenLogprob(
        token=text, logprob=logprob.logprob, token_bytes=text.encode()
    )
