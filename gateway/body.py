"""Request bodies: JSON as Go reads it, checked against a model."""

import json
import math
from typing import Annotated, Any, ClassVar, NoReturn, Self, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from common.durations import parse_keep_alive
from common.errors import InvalidRequest, Unsupported

_MOST_DIGITS = len(str(2**64))

KeepAlive = Annotated[int | None, BeforeValidator(parse_keep_alive)]
"""How long a model stays loaded, in nanoseconds; see `parse_keep_alive`."""


class Body(BaseModel):
    """A JSON object: keys match regardless of case, null means unset, types are strict.

    Unknown keys are ignored. Keys named in `not_offered` are answered with
    `Unsupported` as soon as they ask for something: any value but null, false, zero
    or empty.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    not_offered: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        folded = {key.lower(): item for key, item in value.items() if item is not None}
        for key in sorted(cls.not_offered & folded.keys()):
            if folded[key]:
                raise Unsupported(f'"{key}" is not supported yet')
        return folded

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the first JSON value of a body.

        Raises:
            InvalidRequest: the body is empty, no JSON, or of another shape.
            Unsupported: it asks for something that is not offered.
        """
        if not raw.strip():
            raise InvalidRequest("missing request body")
        value = _first_json_value(raw)
        try:
            return cls.model_validate({} if value is None else value)
        except ValidationError as error:
            raise InvalidRequest(_describe(error)) from None


B = TypeVar("B", bound=Body)


async def read_body(request: web.Request, kind: type[B]) -> B:
    """Read and check a request's JSON body. The Content-Type is not looked at.

    Raises:
        InvalidRequest, Unsupported: see `Body.parse`.
        web.HTTPRequestEntityTooLarge: the body passes the configured limit.
    """
    return kind.parse(await request.read())


def dump_json(value: Any) -> str:
    """Encode a part of a body that was kept as it came.

    Raises:
        InvalidRequest: it is nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"invalid JSON: {error}") from None


def _first_json_value(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return _lenient_json_value(raw, str(error))


def _lenient_json_value(raw: bytes, complaint: str) -> Any:
    """Accept what Go accepts and orjson does not: text after the value, lone surrogates."""
    decoder = json.JSONDecoder(
        parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
    )
    try:
        value, _ = decoder.raw_decode(raw.decode().lstrip(" \t\r\n"))
        return _replace_surrogates(value)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"invalid JSON: {complaint}") from None


def _integer(digits: str) -> int | float:
    """Read an integer; one of more than 64 bits becomes a float, as with orjson."""
    if len(digits) <= _MOST_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("the number is out of range")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(v) for key, v in value.items()}
    return value


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
