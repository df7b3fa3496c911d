"""SHA-256 whose state goes from hand to hand."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sha256 import ResumableSha256, resumable_sha256


def begin(exported: bytes | None = None) -> ResumableSha256:
    sha256 = resumable_sha256(exported)
    assert sha256 is not None, "this Python's OpenSSL cannot be reached"
    return sha256


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_it_is_sha256_whoever_goes_on(pieces: list[bytes]) -> None:
    state = begin().export()
    for piece in pieces:
        sha256 = begin(state)
        sha256.update(piece)
        state = sha256.export()
    assert begin(state).hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda data: memoryview(bytearray(data))])
def test_it_takes_all_kinds_of_bytes(kind: type[bytes]) -> None:
    sha256 = begin()
    sha256.update(kind(b"abc"))
    sha256.update(kind(b""))
    assert sha256.hexdigest() == hashlib.sha256(b"abc").hexdigest()
    sha256.update(kind(b"def"))
    assert sha256.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()


def test_the_length_may_pass_what_32_bits_hold() -> None:
    """2**29 bytes are 2**32 bits."""
    block = bytes(1024 * 1024)
    ours, theirs = begin(), hashlib.sha256()
    for _ in range(513):
        ours.update(block)
        theirs.update(block)
    assert begin(ours.export()).hexdigest() == theirs.hexdigest()


def test_a_state_is_the_same_on_every_machine() -> None:
    """The chaining value of FIPS 180-4 after no block, the length, what fills no block."""
    sha256 = begin()
    sha256.update(b"abc")
    assert sha256.export().hex() == (
        "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd190000000000000003616263"
    )


@pytest.mark.parametrize("state", [b"", b"x", bytes(39), bytes(41), bytes(39) + b"\x01"])
def test_what_is_no_state(state: bytes) -> None:
    with pytest.raises(ValueError, match="state"):
        resumable_sha256(state)
