"""Base64 as Go's decoder takes it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidRequest
from gateway.ollama.images import decode_image


@given(st.binary(), st.data())
def test_line_breaks_may_be_anywhere(content: bytes, data: st.DataObject) -> None:
    text = base64.b64encode(content).decode()
    cut = data.draw(st.integers(0, len(text)))
    assert decode_image(text) == content
    assert decode_image(f"{text[:cut]}\r\n{text[cut:]}\n") == content


def test_bits_beyond_the_last_byte_are_ignored() -> None:
    assert decode_image("aGl=") == b"hi"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a", 0),
        ("aGk", 0),
        ("aGkhaG", 4),
        ("aGk!", 3),
        ("data:image/png;base64,aGk=", 4),
        ("a_k=", 1),
        ("=", 0),
        ("a===", 1),
        ("aG=", 3),
        ("aG=x", 2),
        ("aG\n=\nx", 4),
        ("aGk=x", 4),
        ("aGk==", 4),
        ("aG==\n=", 5),
        ("aGkh=", 4),
        ("aGkh====", 4),
        ("aGk=aGk=", 4),
        ("äGk=", 0),
    ],
)
def test_the_first_wrong_byte_is_named(text: str, position: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_image(text)
    assert caught.value.message == f"illegal base64 data at input byte {position}"
