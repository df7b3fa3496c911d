"""Joining what several engine steps added to one sequence into one delta."""

from collections.abc import Sequence

from protos.paddock.v1 import generation_pb2


def join_deltas(deltas: Sequence[generation_pb2.Delta]) -> generation_pb2.Delta:
    """Join successive deltas of one sequence; the first of them may be given back, changed."""
    joined, *later = deltas
    if later:
        joined.content = "".join([delta.content for delta in deltas])
        joined.thinking = "".join([delta.thinking for delta in deltas])
    for delta in later:
        _append_lists(joined, delta)
    return joined


def append_delta(joined: generation_pb2.Delta, later: generation_pb2.Delta) -> None:
    """Append a later delta of the same sequence to `joined`, in place."""
    if later.content:
        joined.content += later.content
    if later.thinking:
        joined.thinking += later.thinking
    _append_lists(joined, later)


def _append_lists(joined: generation_pb2.Delta, later: generation_pb2.Delta) -> None:
    if later.tool_calls:
        joined.tool_calls.extend(later.tool_calls)
    if later.logprobs:
        joined.logprobs.extend(later.logprobs)
    joined.tokens.extend(later.tokens)
    if later.HasField("usage"):
        joined.usage.CopyFrom(later.usage)
