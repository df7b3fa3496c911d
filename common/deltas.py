"""Joining what several engine steps added to one sequence into one delta."""

from protos.paddock.v1 import generation_pb2


def append_delta(joined: generation_pb2.Delta, later: generation_pb2.Delta) -> None:
    """Append a later delta of the same sequence to `joined`, in place."""
    joined.content += later.content
    joined.thinking += later.thinking
    joined.tool_calls.extend(later.tool_calls)
    joined.logprobs.extend(later.logprobs)
