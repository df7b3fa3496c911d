"""Log probabilities: what a request asks for, and how an answer shows them."""

from typing import Annotated, Any

from pydantic import AfterValidator

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2

_MOST_ALTERNATIVES = 20
_LEAST = -9999.0  # for tokens that were ruled out: JSON knows no infinity


def _check_alternatives(value: int) -> int:
    if not 0 <= value <= _MOST_ALTERNATIVES:
        raise InvalidRequest(f"top_logprobs must be between 0 and {_MOST_ALTERNATIVES}")
    return value


TopLogprobs = Annotated[int, AfterValidator(_check_alternatives)]
"""How many of the likeliest tokens to report at each position."""


def logprob_object(logprob: generation_pb2.TokenLogprob) -> dict[str, Any]:
    """Encode a token's log probability and, where asked for, the likeliest ones."""
    shown: dict[str, Any] = {
        "token": logprob.token,
        "logprob": max(logprob.logprob, _LEAST),
    }
    if logprob.token_bytes:
        shown["bytes"] = list(logprob.token_bytes)
    if logprob.alternatives:
        shown["top_logprobs"] = [logprob_object(each) for each in logprob.alternatives]
    return shown
