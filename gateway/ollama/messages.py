"""Chat messages, as requests and stored models carry them."""

from typing import Any

from pydantic import Field

from gateway.body import Body
from gateway.ollama.encoding import without_empty
from gateway.ollama.images import Image
from gateway.ollama.tools import ToolCall, call_object
from protos.paddock.v1 import generation_pb2


class Message(Body):
    """One turn of a conversation."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: list[Image] = Field(default_factory=list)
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_name: str = ""
    tool_call_id: str = ""

    def to_proto(self) -> generation_pb2.Message:
        """Convert for the wire; roles become lower case.

        Raises:
            InvalidRequest: a tool call is nested too deeply.
        """
        return generation_pb2.Message(
            role=self.role.lower(),
            content=self.content,
            thinking=self.thinking,
            images=self.images,
            tool_calls=[call.to_proto() for call in self.tool_calls],
            tool_name=self.tool_name,
            tool_call_id=self.tool_call_id,
        )


def message_object(message: generation_pb2.Message) -> dict[str, Any]:
    """Encode a message of a stored model; `content` is always there."""
    calls = [call_object(call, number) for number, call in enumerate(message.tool_calls)]
    return {
        "role": message.role,
        "content": message.content,
        **without_empty(
            {
                "thinking": message.thinking,
                "tool_calls": calls,
                "tool_name": message.tool_name,
                "tool_call_id": message.tool_call_id,
            }
        ),
    }
