"""The base of the JSON documents that the store holds, and what can be wrong with them."""

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class Document(BaseModel):
    """A JSON object of which only the fields that matter here are declared.

    Others are kept and written back as they came: they belong to whoever wrote them.
    A null counts as absent, as it does for Go.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", populate_by_name=True, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


# By pydantic's names of them (docs.pydantic.dev/latest/errors/validation_errors).
_PROBLEMS = {
    "missing": "is missing",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "too_long": "has more than {max_length} items",
    "too_short": "has fewer than {min_length} items",
    "value_error": "is wrong: {error}",
    "literal_error": "must be {expected}",
}
_OTHERS = "has a wrong value"


def first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong with a document, and where."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"]) or "it"
    return f"{place} {_PROBLEMS.get(problem['type'], _OTHERS).format(**problem.get('ctx', {}))}"


def not_json(error: orjson.JSONDecodeError) -> str:
    """Say that a text is no JSON, and where it stops to be."""
    if not error.doc.strip():
        return "not valid JSON: it is empty, or no UTF-8 text"
    return f"not valid JSON in line {error.lineno}, column {error.colno}"
