"""Request bodies: JSON as Go reads it, checked against a model."""

import json
import math
from typing import Annotated, Any, ClassVar, NoReturn, Self, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from common.durations import parse_keep_alive
from common.errors import InvalidRequest, Unsupported
from gateway.complaints import constant_complaint, syntax_complaint, type_complaint
from gateway.incoming import whole_body

_WHITE_SPACE = b" \t\r\n"
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
        if not raw.strip(_WHITE_SPACE):
            raise InvalidRequest("missing request body")
        value = read_json(raw)
        try:
            return cls.model_validate({} if value is None else value)
        except ValidationError as error:
            request = f"{cls.__name__.removesuffix('Body')}Request"
            raise InvalidRequest(type_complaint(error, request)) from None


B = TypeVar("B", bound=Body)


async def read_body(request: web.Request, kind: type[B]) -> B:
    """Read and check a request's JSON body. The Content-Type is not looked at.

    Raises:
        InvalidRequest, Unsupported: see `Body.parse`.
        TooLarge, StalledBody: see `whole_body`.
    """
    return kind.parse(await whole_body(request))


def dump_json(value: Any) -> str:
    """Encode a part of a body that was kept as it came.

    Raises:
        InvalidRequest: it is nested too deeply.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"invalid JSON: {error}") from None


def read_json(raw: bytes) -> Any:
    """Decode the first JSON value of a text.

    Raises:
        InvalidRequest: there is none.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _lenient_json_value(raw.strip(_WHITE_SPACE).decode(errors="replace"))


def _lenient_json_value(text: str) -> Any:
    """Accept what Go accepts and orjson does not.

    That is text after the value, lone surrogates and bytes that are no UTF-8.
    """
    decoder = json.JSONDecoder(
        parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
    )
    try:
        value, _ = decoder.raw_decode(text)
        return _replace_surrogates(value)
    except json.JSONDecodeError as error:
        raise InvalidRequest(syntax_complaint(error)) from None
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    except RecursionError:
        raise InvalidRequest("exceeded max depth") from None


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
    raise ValueError(constant_complaint(name))


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(v) for key, v in value.items()}
    return value
