"""Answers in a format: they follow the schema, for whatever chance."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2
from workers.simulated.json_answers import formatted_answer

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}},
    {"type": "object", "properties": {}, "required": ["unnamed"]},
    {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 4}, "minItems": 3},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 1},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}], "items": True},
    {"type": "string", "minLength": 30, "maxLength": 31},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9},
    {"type": "integer", "minimum": 1, "maximum": 20, "multipleOf": 7},
    {"type": ["null", "string"]},
    {"enum": ["red", 3, None]},
    {"const": {"a": 1}},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]},
        ]
    },
    {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "next"],
            }
        },
        "$ref": "#/$defs/node",
    },
    {"items": {"properties": {"a": {"type": "integer"}}}},
]


def answer(schema: dict[str, Any], chance: int) -> str:
    wanted = generation_pb2.Format(json_schema=json.dumps(schema))
    found = formatted_answer(wanted, chance)
    assert found is not None
    return found


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_an_answer_follows_its_schema(schema: dict[str, Any]) -> None:
    for chance in range(20):
        jsonschema.validate(json.loads(answer(schema, chance)), schema)


def test_another_chance_gives_another_answer() -> None:
    assert len({answer(SCHEMAS[0], chance) for chance in range(20)}) > 10
    assert answer(SCHEMAS[0], 5) == answer(SCHEMAS[0], 5)


def test_any_json_is_an_object() -> None:
    found = formatted_answer(generation_pb2.Format(json=True), 1)
    assert isinstance(json.loads(found or ""), dict)


@pytest.mark.parametrize("wanted", [generation_pb2.Format(), generation_pb2.Format(json=False)])
def test_without_a_format_any_text_will_do(wanted: generation_pb2.Format) -> None:
    assert formatted_answer(wanted, 1) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
        {"allOf": [3]},
        {"items": 3},
        {"properties": 3},
        {"type": "string", "minLength": "x"},
    ],
    ids=str,
)
def test_what_is_no_schema(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="invalid JSON schema"):
        answer(schema, 1)
