"""What clients are told about bodies that cannot be read: Go's texts, as Go 1.19 gave them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from common.errors import InvalidRequest
from gateway.body import Body


class Part(Body):
    text: str = ""


class SampleBody(Body):
    model: str = ""
    stream: bool = True
    count: int = 0
    share: float = 0
    parts: list[Part] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)


def complaint(text: str | bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        SampleBody.parse(text.encode() if isinstance(text, str) else text)
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        *("{", '{"a"', '{"a":', '{"a":1', '{"a":1,', "[", "[1", "[1,", '"ab', '"a\\', '"a\\u12'),
        *("tru", "-", '{"a":"b}', '{"a":\n'),
    ],
)
def test_a_text_that_breaks_off(text: str) -> None:
    assert complaint(text) == "unexpected EOF"


@pytest.mark.parametrize(
    ("text", "character", "place"),
    [
        ("x", "'x'", "looking for beginning of value"),
        ("[1,]", "']'", "looking for beginning of value"),
        ("\ufeff{}", "'ï'", "looking for beginning of value"),
        ("é", "'Ã'", "looking for beginning of value"),
        ('{"a":NaN}', "'N'", "looking for beginning of value"),
        ('{"a":-Infinity}', "'I'", "in numeric literal"),
        ("-x", "'x'", "in numeric literal"),
        ("nope", "'o'", "in literal null (expecting 'u')"),
        ('{"a":tiny}', "'i'", "in literal true (expecting 'r')"),
        ("{a:1}", "'a'", "looking for beginning of object key string"),
        ("{'a'}", r"'\''", "looking for beginning of object key string"),
        ('{"a":1,}', "'}'", "looking for beginning of object key string"),
        ('{"a" 1}', "'1'", "after object key"),
        ('{"a":1 "b"}', "'\"'", "after object key:value pair"),
        ('{"a":["}]"] 2}', "'2'", "after object key:value pair"),
        ('{"a":[1}', "'}'", "after array element"),
        ("[1 2]", "'2'", "after array element"),
        ('"a\\u12zz"', "'z'", r"in \u hexadecimal character escape"),
        ('"a\\q"', "'q'", "in string escape code"),
        ('"a\nb"', r"'\n'", "in string literal"),
    ],
)
def test_a_character_in_the_wrong_place(text: str, character: str, place: str) -> None:
    assert complaint(text) == f"invalid character {character} {place}"


def test_a_long_text_is_not_searched() -> None:
    assert complaint(f'["{"x" * 200_000}" 2]') == "invalid character '2' after value"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"model":5}', "number into Go struct field SampleRequest.model of type string"),
        ('{"MODEL":{}}', "object into Go struct field SampleRequest.model of type string"),
        ('{"stream":"x"}', "string into Go struct field SampleRequest.stream of type bool"),
        ('{"stream":1}', "number into Go struct field SampleRequest.stream of type bool"),
        ('{"count":1.5}', "number 1.5 into Go struct field SampleRequest.count of type int"),
        ('{"count":true}', "bool into Go struct field SampleRequest.count of type int"),
        ('{"share":"1"}', "string into Go struct field SampleRequest.share of type float64"),
        (
            '{"options":[]}',
            "array into Go struct field SampleRequest.options of type map[string]interface {}",
        ),
        ('{"parts":["a"]}', "string into Go struct field SampleRequest.parts of type api.Part"),
        (
            '{"parts":[{"text":"a"},{"text":5}]}',
            "number into Go struct field SampleRequest.parts.text of type string",
        ),
        ("[]", "array into Go value of type api.SampleRequest"),
        ('"x"', "string into Go value of type api.SampleRequest"),
        ("5 garbage", "number into Go value of type api.SampleRequest"),
    ],
)
def test_a_value_of_another_type(text: str, expected: str) -> None:
    assert complaint(text) == f"json: cannot unmarshal {expected}"


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert SampleBody.parse(b'{"model": "a\xff"}').model == "a\ufffd"


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_body_or_refused(raw: bytes) -> None:
    try:
        SampleBody.parse(raw)
    except InvalidRequest as error:
        assert error.message  # noqa: PT017


@given(st.text(alphabet='{}[]":,\\u0123eE.-+ tfn\x00é', max_size=12))
def test_any_likely_mistake_is_named(text: str) -> None:
    try:
        SampleBody.parse(text.encode())
    except InvalidRequest as error:
        assert error.message  # noqa: PT017
