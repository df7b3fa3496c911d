"""Chat messages, as requests and stored models carry them."""

from typing import Any, ClassVar

from pydantic import Field

from gateway.body import Body, dump_json
from gateway.ollama.encoding import without_empty
from protos.paddock.v1 import generation_pb2


class FunctionCall(Body):
    """The function that a tool call names, and its arguments."""

    name: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolCall(Body):
    """A call that the assistant made earlier in the conversation."""

    id: str = ""
    function: FunctionCall = FunctionCall()

    def to_proto(self) -> generation_pb2.ToolCall:
        """Convert for the wire."""
        return generation_pb2.ToolCall(
            id=self.id,
            name=self.function.name,
            arguments_json=dump_json(self.function.arguments),
        )


class Message(Body):
    """One turn of a conversation."""

    not_offered: ClassVar[frozenset[str]] = frozenset({"images"})

    role: str = ""
    content: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_name: str = ""
    tool_call_id: str = ""

    def to_proto(self) -> generation_pb2.Message:
        """Convert for the wire; roles become lower case."""
        return generation_pb2.Message(
            role=self.role.lower(),
            content=self.content,
            thinking=self.thinking,
            tool_calls=[call.to_proto() for call in self.tool_calls],
            tool_name=self.tool_name,
            tool_call_id=self.tool_call_id,
        )


def message_object(message: generation_pb2.Message) -> dict[str, Any]:
    """Encode a message; `content` is always there."""
    return {
        "role": message.role,
        "content": message.content,
        **without_empty(
            {
                "thinking": message.thinking,
                "tool_name": message.tool_name,
                "tool_call_id": message.tool_call_id,
            }
        ),
    }
