"""The base of the JSON documents that the store holds."""

from typing import Any

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


def first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong with a document, and where."""
    problem = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]
