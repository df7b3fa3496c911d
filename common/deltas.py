"""Joining what several engine steps added to one sequence into one delta."""

from protos.paddock.v1 import generation_pb2


def append_delta(joined: generation_pb2.Delta, later: generation_pb2.Delta) -> None:
    """Append a later delta of the same sequence to `joined`, in place."""
    if later.content:
        joined.content += later.content
    if later.thinking:
        joined.thinking += later.thinking
    if later.tool_calls:
        joined.tool_calls.extend(later.tool_calls)
    if later.logprobs:
        joined.logprobs.extend(later.logprobs)
    joined.tokens.extend(later.tokens)
    if later.HasField("usage"):
        joined.usage.CopyFrom(later.usage)
