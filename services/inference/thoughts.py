"""Thoughts that earlier answers of a conversation still carry in their text."""

import re
from collections.abc import Sequence

from common.names import ModelName
from protos.paddock.v1 import generation_pb2, model_pb2

_FAMILY = "qwen3"
_MODEL = "deepseek-r1"
_LEADING_THOUGHTS = re.compile(r"\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)


def forget_thoughts(spec: model_pb2.ModelSpec, messages: Sequence[generation_pb2.Message]) -> None:
    """Take the thoughts out of what the assistant said before the last user's turn, in place.

    Only for the models whose clients are used to send them back as `<think>` in `content`;
    they were not trained to see them again.
    """
    if spec.details.family != _FAMILY and ModelName.parse(spec.name).model != _MODEL:
        return
    users = [number for number, message in enumerate(messages) if message.role == "user"]
    for message in messages[: users[-1] if users else 0]:
        if message.role == "assistant" and (found := _LEADING_THOUGHTS.match(message.content)):
            message.content = message.content[found.end() :]
