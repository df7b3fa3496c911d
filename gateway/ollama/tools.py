"""Tools that a model may call, and its calls."""

from typing import Annotated, Any, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator

from common.errors import Internal, InvalidRequest
from gateway.body import Body, dump_json, read_json
from protos.paddock.v1 import generation_pb2


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Schema(Body):
    """What of a JSON schema has to have a certain shape; the rest passes unseen."""

    type: Annotated[list[str], BeforeValidator(_several)] = Field(default_factory=list)
    description: str = ""
    properties: dict[str, "Schema"] = Field(default_factory=dict)
    required: list[str] = Field(default_factory=list)
    enum: list[Any] = Field(default_factory=list)
    any_of: list["Schema"] = Field(default_factory=list, alias="anyof")


class ToolFunction(Body):
    """A function's name, what it is for, and its parameters."""

    name: str = ""
    description: str = ""
    parameters: Schema = Schema()


class Tool(Body):
    """A tool on offer."""

    type: str = ""
    function: ToolFunction = ToolFunction()
    sent: dict[str, Any]
    """The whole as the client sent it: models read more of it than is checked."""

    @model_validator(mode="before")
    @classmethod
    def _keep(cls, value: Any) -> Any:
        return {**value, "sent": value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _require_name(self) -> Self:
        if not self.function.name:
            raise InvalidRequest("a tool must be a function with a name")
        return self

    def to_json(self) -> str:
        """Encode the tool as it was sent.

        Raises:
            InvalidRequest: it is nested too deeply.
        """
        return dump_json(self.sent)


def _parse_arguments(value: object) -> object:
    """Take arguments as OpenAI's clients send them, too: as a text that holds an object."""
    return orjson.loads(value or "{}") if isinstance(value, str) else value


class ToolCallFunction(Body):
    """The function that a tool call names, and its arguments."""

    name: str = ""
    arguments: Annotated[dict[str, Any], BeforeValidator(_parse_arguments)] = Field(
        default_factory=dict
    )


class ToolCall(Body):
    """A call that the assistant made earlier in the conversation."""

    id: str = ""
    function: ToolCallFunction = ToolCallFunction()

    def to_proto(self) -> generation_pb2.ToolCall:
        """Convert for the wire.

        Raises:
            InvalidRequest: the arguments are nested too deeply.
        """
        return generation_pb2.ToolCall(
            id=self.id,
            name=self.function.name,
            arguments_json=dump_json(self.function.arguments),
        )


def call_object(call: generation_pb2.ToolCall, index: int) -> dict[str, Any]:
    """Encode a call, which is the answer's `index`th.

    Raises:
        Internal: its arguments are no JSON object.
    """
    try:
        arguments = read_json(call.arguments_json.encode() or b"{}")
    except InvalidRequest as error:
        raise Internal(f"the call of {call.name} has malformed arguments: {error}") from None
    function = {"index": index, "name": call.name, "arguments": arguments}
    return {"id": call.id, "function": function} if call.id else {"function": function}
