"""Requests that are encoded by hand are the ones that protobuf makes."""

from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import DecodeError

from common.blob_messages import decode, encode_all, encode_data
from protos.paddock.v1 import blob_pb2

HEADER = blob_pb2.WriteRequest(header=blob_pb2.WriteHeader(digest="sha256:0", size=3))
UNKNOWN_FIELD = b"\x1a\x01z"


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 1 << 20, (1 << 21) + 1])
def test_data_is_encoded_as_protobuf_does_and_decoded_again(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    message = encode_data(data[: size // 3], data[size // 3 :])
    assert message == blob_pb2.WriteRequest(data=data).SerializeToString()
    decoded = decode(message)
    assert isinstance(decoded, memoryview)
    assert decoded == data


@pytest.mark.parametrize(
    "request_",
    [
        HEADER,
        blob_pb2.WriteRequest(),
        blob_pb2.WriteRequest.FromString(encode_data(b"data") + UNKNOWN_FIELD),
        blob_pb2.WriteRequest.FromString(UNKNOWN_FIELD + encode_data(b"data")),
    ],
)
def test_any_other_request_is_left_to_protobuf(request_: blob_pb2.WriteRequest) -> None:
    assert decode(request_.SerializeToString()) == request_


def test_of_several_fields_the_last_one_counts() -> None:
    message = encode_data(b"data") + HEADER.SerializeToString()
    assert decode(message) == blob_pb2.WriteRequest.FromString(message)
    message = encode_data(b"first") + encode_data(b"second")
    assert decode(message) == blob_pb2.WriteRequest(data=b"second")


@pytest.mark.parametrize("message", [b"\x12", b"\x12\x80", b"\x12\x05abc", b"\x12" + b"\xff" * 9])
def test_what_is_cut_off_or_damaged_is_refused(message: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(message)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([3], [3]),
        ([10], [10]),
        ([4, 4, 4, 4], [12, 4]),
        ([25, 1], [25, 1]),
        ([5, 5, 5, 5], [10, 10]),
    ],
)
async def test_small_pieces_are_joined(sizes: list[int], expected: list[int]) -> None:
    content = bytes(range(sum(sizes)))

    async def pieces() -> AsyncIterator[bytes]:
        position = 0
        for size in sizes:
            yield content[position : position + size]
            position += size

    messages = [message async for message in encode_all(pieces(), 10)]
    parts = [blob_pb2.WriteRequest.FromString(message).data for message in messages]
    assert [len(part) for part in parts] == expected
    assert b"".join(parts) == content
