"""Messages and tools as Ollama's templates see them: its types, their fields and their JSON.

What a tool has beside the fields of these types is dropped, as Ollama drops it.
"""

from collections.abc import Iterable, Mapping

from common.gotemplate.values import Bound, NilSlice, Struct
from common.model_template_functions import PROPERTY_TYPE
from protos.paddock.v1 import generation_pb2
from workers.template_json import Fields, parse_object


class Object(Bound, dict[str, object]):
    """A map that prints as JSON, in the order in which it was made.

    A key that it lacks has the value `zero`.
    """

    def __init__(
        self, type_name: str, items: Mapping[str, object] | None, zero: object = None
    ) -> None:
        super().__init__(items or {})
        self.type_name = type_name
        self._is_nil = items is None
        self._zero = zero

    def own_text(self) -> str | None:
        """Print as an empty one where there is none."""
        return "{}" if self._is_nil else None

    def json_value(self) -> object:
        """Give its items."""
        return None if self._is_nil else dict(self)

    def zero_element(self) -> object:
        """Give `zero`."""
        return self._zero


class Tools(Bound, list[object]):
    """The tools of a request, which print as a JSON list."""

    type_name = "template.templateTools"

    def json_value(self) -> object:
        """Give the tools."""
        return list(self)


class NoTools(Bound, NilSlice):
    """What stands for the tools of a request without any: it prints as `null`."""

    type_name = Tools.type_name

    def json_value(self) -> object:
        """Give nothing."""
        return None


class PropertyType(Bound, list[str]):
    """The types of a property: one prints alone, several as a list."""

    type_name = "api.PropertyType"

    def own_text(self) -> str:
        """Write the types."""
        text = " ".join(self)
        return text if len(self) < 2 else f"[{text}]"

    def json_value(self) -> object:
        """Give the types."""
        return self[0] if len(self) == 1 else list(self) or None


def bind_message(message: generation_pb2.Message, content: str) -> Struct:
    """Give a message whose content is `content`.

    Raises:
        InvalidRequest: the arguments of a tool call are no JSON object.
    """
    calls = [_bind_call(index, call) for index, call in enumerate(message.tool_calls)]
    return Struct(
        "*template.templateMessage",
        {
            "Role": message.role,
            "Content": content,
            "Thinking": message.thinking,
            "Images": list(message.images) or NilSlice(),
            "ToolCalls": calls or NilSlice(),
            "ToolName": message.tool_name,
            "ToolCallID": message.tool_call_id,
        },
    )


def _bind_call(index: int, call: generation_pb2.ToolCall) -> Struct:
    arguments = parse_object(call.arguments_json or "{}", "tool call arguments")
    function = {
        "Index": index,
        "Name": call.name,
        "Arguments": Object("template.templateArgs", dict(sorted(arguments.items()))),
    }
    fields = {"ID": call.id, "Function": Struct("template.templateToolCallFunction", function)}
    return Struct("template.templateToolCall", fields)


def bind_tools(tools_json: Iterable[str]) -> Tools | NoTools:
    """Give the tools of a request, each a JSON object.

    Raises:
        InvalidRequest: one is none, or has a field of a wrong type.
    """
    tools = Tools(_bind_tool(Fields(parse_object(tool, "tool"), "tool")) for tool in tools_json)
    return tools or NoTools()


def _bind_tool(tool: Fields) -> Struct:
    return Struct(
        "template.templateTool",
        {
            "Type": tool.text("type"),
            "Items": tool.value("items"),
            "Function": _bind_function(tool.nested("function")),
        },
        {"Type": "type", "Items": "items,omitnil", "Function": "function"},
    )


def _bind_function(function: Fields) -> Struct:
    return Struct(
        "template.templateToolFunction",
        {
            "Name": function.text("name"),
            "Description": function.text("description"),
            "Parameters": _bind_parameters(function.nested("parameters")),
        },
        {"Name": "name", "Description": "description", "Parameters": "parameters"},
    )


def _bind_parameters(parameters: Fields) -> Struct:
    properties = _bind_properties(parameters)
    in_order = None if properties is None else dict(sorted(properties.items()))
    return Struct(
        "template.templateToolFunctionParameters",
        {
            "Type": parameters.text("type"),
            "Defs": parameters.value("$defs"),
            "Items": parameters.value("items"),
            "Required": parameters.texts("required") or NilSlice(),
            "Properties": Object("template.templateProperties", in_order, _NO_PROPERTY),
        },
        {
            "Type": "type",
            "Defs": "$defs,omitnil",
            "Items": "items,omitnil",
            "Required": "required,omitempty",
            "Properties": "properties",
        },
    )


def _bind_properties(schema: Fields) -> dict[str, object] | None:
    properties = schema.nested("properties")
    if schema.value("properties") is None:
        return None
    return {name: _bind_property(properties.nested(name)) for name in properties.names()}


def _bind_property(schema: Fields) -> Struct:
    properties = _bind_properties(schema)
    return Struct(
        PROPERTY_TYPE,
        {
            "AnyOf": [_bind_property(each) for each in schema.each_nested("anyOf")] or NilSlice(),
            "Type": PropertyType(schema.text_or_texts("type")),
            "Items": schema.value("items"),
            "Description": schema.text("description"),
            "Enum": schema.items("enum") or NilSlice(),
            "Properties": properties and Object("*api.ToolPropertiesMap", properties),
            "Required": schema.texts("required") or NilSlice(),
        },
        _PROPERTY_TAGS,
    )


_PROPERTY_TAGS = {
    "AnyOf": "anyOf,omitempty",
    "Type": "type,omitempty",
    "Items": "items,omitnil",
    "Description": "description,omitempty",
    "Enum": "enum,omitempty",
    "Properties": "properties,omitnil",
    "Required": "required,omitempty",
}

_NO_PROPERTY = _bind_property(Fields({}, ""))
