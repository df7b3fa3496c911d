"""The functions that Ollama adds to Go's own."""

import datetime
import sys

from common.gotemplate.functions import Function
from common.gotemplate.json_text import NotJson, to_json
from common.gotemplate.values import Struct

_ANY_NUMBER = sys.maxsize


def _json(value: object) -> str:
    try:
        return to_json(value)
    except NotJson:
        return ""


def _current_date(*_: object) -> str:
    return datetime.date.today().isoformat()


def _yesterday_date(*_: object) -> str:
    return (datetime.date.today() - datetime.timedelta(days=1)).isoformat()


_TYPESCRIPT = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


def _typescript_type(value: object) -> str:
    """Write a tool's property as a type of TypeScript; of anything else nothing is known."""
    if not isinstance(value, Struct) or value.type_name != PROPERTY_TYPE:
        return "any"
    alternatives, types = value.fields["AnyOf"], value.fields["Type"]
    assert isinstance(alternatives, list)
    assert isinstance(types, list)
    if alternatives:
        return " | ".join(map(_typescript_type, alternatives))
    return " | ".join(_TYPESCRIPT.get(name, "any") for name in types) or "any"


# The type of the values that `toTypeScriptType` understands: `AnyOf` and `Type` are lists.
PROPERTY_TYPE = "api.ToolProperty"

FUNCTIONS = {
    "json": Function(_json, 1),
    "currentDate": Function(_current_date, 0, more=True, strings=_ANY_NUMBER),
    "yesterdayDate": Function(_yesterday_date, 0, more=True, strings=_ANY_NUMBER),
    "toTypeScriptType": Function(_typescript_type, 1),
}
