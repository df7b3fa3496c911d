"""Typed errors as messages: how a sequence ends that fails, on a call that goes on."""

from common.errors import PaddockError, error_for
from protos.paddock.v1 import generation_pb2


def to_failure(error: PaddockError) -> generation_pb2.Failure:
    """Give the message that carries an error."""
    return generation_pb2.Failure(
        reason=error.reason(), message=error.message, retry_after=error.retry_after
    )


def from_failure(failure: generation_pb2.Failure) -> PaddockError:
    """Give the error that a message carries."""
    error = error_for(failure.reason, failure.message)
    if failure.HasField("retry_after"):
        error.retry_after = failure.retry_after
    return error
