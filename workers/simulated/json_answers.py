"""Answers for requests with a format: the plainest JSON that follows a schema."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from common.errors import InvalidRequest
from protos.paddock.v1 import generation_pb2
from workers.simulated.language import spread
from workers.simulated.vocabulary import WORDS

_DEPTH = 8
"""Below which only what is required is given: schemas may contain themselves."""

_FREE = '{"properties": {"name": {"type": "string"}, "number": {"type": "integer"}}}'
_FORMATS = {
    "date": "2026-01-31",
    "time": "12:30:00Z",
    "date-time": "2026-01-31T12:30:00Z",
    "duration": "PT30M",
    "email": "name@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def formatted_answer(wanted: generation_pb2.Format, chance: int) -> str | None:
    """Give an answer in a format, another one for another `chance`; None: any text will do.

    Raises:
        InvalidRequest: the schema is none.
    """
    match wanted.WhichOneof("constraint"):
        case "json_schema":
            text = wanted.json_schema
        case "json" if wanted.json:
            text = _FREE
        case _:
            return None
    try:
        schema = orjson.loads(text)
        return orjson.dumps(_Examples(schema, chance).of(schema, 0)).decode()
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"invalid JSON schema in format: {error}") from error


class _Examples:
    """Makes values that follow the parts of one schema."""

    def __init__(self, root: Any, chance: int) -> None:
        self._root = root
        self._chance = chance
        self._kinds: Mapping[str, Callable[[Mapping[str, Any], int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._integer,
            "boolean": lambda _schema, _depth: self._draw() % 2 == 0,
            "null": lambda _schema, _depth: None,
        }

    def of(self, schema: Any, depth: int) -> Any:
        """Make a value; `depth` is how far it lies within the whole."""
        if schema is True:
            return self._word()
        if not isinstance(schema, dict):
            raise TypeError("a part of it is none")
        if "$ref" in schema:
            return self.of(self._resolve(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._draw() % len(schema["enum"])]
        for choice in ("anyOf", "oneOf"):
            if schema.get(choice):
                options: Sequence[Any] = schema[choice]
                return self.of(options[-1 if depth > _DEPTH else 0], depth + 1)
        if schema.get("allOf"):
            return self.of(_joined(schema["allOf"]), depth + 1)
        kind = _kind(schema)
        if kind not in self._kinds:
            raise TypeError(f"there is no type {kind!r}")
        return self._kinds[kind](schema, depth)

    def _resolve(self, reference: str) -> Any:
        found = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        return {
            name: self.of(properties.get(name, True), depth + 1)
            for name in dict.fromkeys([*properties, *required])
            if depth < _DEPTH or name in required
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        count = least if depth >= _DEPTH else max(least, min(2, int(schema.get("maxItems", 2))))
        before: list[Any] = list(schema.get("prefixItems", ()))
        parts = [*before, *[schema.get("items", True)] * max(count - len(before), 0)]
        return [self.of(part, depth + 1) for part in parts]

    def _string(self, schema: Mapping[str, Any], depth: int) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text, least = self._word(), int(schema.get("minLength", 0))
        while len(text) < least:
            text += f" {self._word()}"
        return text[: int(schema.get("maxLength", len(text)))]

    def _integer(self, schema: Mapping[str, Any], depth: int) -> int:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 100))
        step = int(schema.get("multipleOf", 1)) or 1
        lowest = -(-int(least + ("exclusiveMinimum" in schema)) // step)
        highest = int(most - ("exclusiveMaximum" in schema)) // step
        return step * (lowest + self._draw() % max(highest - lowest + 1, 1))

    def _word(self) -> str:
        return WORDS[self._draw() % len(WORDS)]

    def _draw(self) -> int:
        self._chance = spread(self._chance + 1)
        return self._chance


def _kind(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        return kind[0] if kind else None
    if kind is None:
        return "array" if "items" in schema else "object" if "properties" in schema else "string"
    return kind


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for part in parts:
        properties = {**joined.get("properties", {}), **part.get("properties", {})}
        required = [*joined.get("required", ()), *part.get("required", ())]
        joined |= {**part, "properties": properties, "required": required}
    return joined
